"""`deployment.toml` as typed settings. Loading, and naming every mistake, is `settings.loading`.

All tables are frozen and closed: an unknown key is a mistake, not an extension.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from verification.settings.checkout import CheckoutFolder, Code, Release
from verification.settings.deploy import Deploy
from verification.settings.followup import DeploymentLogSettings, Followup
from verification.settings.migrations import Migrations
from verification.settings.monitor import Monitor
from verification.settings.observers import (
    GitHubSettings,
    Incidents,
    JiraSettings,
    People,
    SentrySettings,
    SlackSettings,
)
from verification.settings.service import Flow, Flows, Health, ServiceInfo, Smoke, Target
from verification.settings.tables import Table, Text
from verification.settings.units import Seconds, Share, duration_text

Role = Literal["staging", "production"]
Policy = Literal["automatic", "manual"]
StrategyName = Literal["cloud_run", "github_workflow", "gcloud"]
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Limits(Table):
    """`[limits]`: what "good" means. Rates are shares of one, durations seconds.

    A dependency whose latency has no limit is none of this service's.
    """

    error_rate: Share = Field(default=0.01, gt=0, lt=0.95)
    p95_latency: Seconds = Field(default=0.5, gt=0)
    mongodb_latency: Seconds | None = Field(default=None, gt=0)
    openai_latency: Seconds | None = Field(default=None, gt=0)
    elevenlabs_latency: Seconds | None = Field(default=None, gt=0)
    pinecone_latency: Seconds | None = Field(default=None, gt=0)
    certificate_days_left: float = Field(default=14, ge=0)
    coverage: Share = 0.87
    staging_soak: Seconds = 86_400
    deployment_duration: Seconds = Field(default=600, gt=0)


class DeploymentWindow(Table):
    """`[window]`: when production may be deployed, in the wall-clock time of `timezone`."""

    days: list[Weekday]
    opens: dt.time = Field(strict=False)
    closes: dt.time = Field(strict=False)
    timezone: str
    freeze: list[dt.date] = []

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError('expected a time zone such as "America/New_York"') from error
        return name

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _time_is_written_out(cls, value: object) -> object:
        if not isinstance(value, (str, dt.time)):  # a number would be taken for seconds
            raise ValueError('expected a time of day such as "10:00"')  # noqa: TRY004  (pydantic reports ValueError)
        return value

    @field_validator("closes")
    @classmethod
    def _opens_first(cls, closes: dt.time, info: ValidationInfo) -> dt.time:
        opens = info.data.get("opens")
        if opens is not None and closes.replace(tzinfo=None) == opens.replace(tzinfo=None):
            raise ValueError("the window must not close when it opens; one that crosses midnight closes earlier")
        return closes


class Rollback(Table):
    """`[rollback]`. `deployed_within` keeps a revision that has been good for long from being rolled back unasked.

    `strategies`: the ways to move the traffic, in order. `shift_within` is the time of the first look and, once
    the control has been asked, of Cloud Run's API, `workflow_within` that of the deploy workflow, `gcloud_within` that
    of gcloud.
    `when_interrupted`: what a run does that is ended before it has seen anything bad, where nobody can be asked.
    `control_within` is the time of the control: the revision from before is asked what has failed. Where that answers
    no better, going back would not help: `when_previous_no_better`. It must be longer than `smoke.timeout`, which one
    question may take, and no longer than `shift_within`: users meet the bad release meanwhile.
    """

    policy: Policy = "manual"
    when_interrupted: Literal["hold", "rollback"] = "hold"
    deployed_within: Seconds = 7200
    evidence_grace: Seconds = 5
    strategies: list[StrategyName] = Field(default=["cloud_run", "github_workflow", "gcloud"], min_length=1)
    shift_within: Seconds = Field(default=120, gt=0)
    workflow_within: Seconds = Field(default=300, gt=0)
    gcloud_within: Seconds = Field(default=120, gt=0)
    verify_within: Seconds = Field(default=180, gt=0)
    metrics_within: Seconds = 60
    control_within: Seconds = Field(default=20, gt=0, le=120)
    when_previous_no_better: Literal["hold", "rollback"] = "hold"


class Criteria(Table):
    """`[criteria]`: folders of a team's own criteria."""

    paths: list[Text] = []


class Settings(Table):
    """Everything about one environment. `targets` is empty for the sandbox until it runs."""

    environment: str
    roles: list[Role] = Field(min_length=1)
    sandbox: bool = False
    targets: dict[Role, Target] = {}
    service: ServiceInfo
    health: Health = Health()
    flows: Flows = Flows()
    smoke: Smoke = Smoke()
    limits: Limits = Limits()
    window: DeploymentWindow | None = None
    monitor: Monitor | None = None
    sentry: SentrySettings | None = None
    slack: SlackSettings | None = None
    github: GitHubSettings | None = None
    deploy: Deploy = Deploy()
    jira: JiraSettings | None = None
    incidents: Incidents | None = None
    checkout: CheckoutFolder | None = None
    code: Code | None = None
    release: Release | None = None
    migrations: Migrations | None = None
    rollback: Rollback = Rollback()
    people: People = People()
    deployment_log: DeploymentLogSettings = DeploymentLogSettings()
    followup: Followup = Followup()
    criteria: Criteria = Criteria()

    @model_validator(mode="after")
    def _people_answer_for_themselves(self) -> Settings:
        if self.followup.signed_off_by and not self.sandbox:
            raise ValueError("followup.signed_off_by is for the sandbox: elsewhere a person signs off (--sign-off)")
        return self

    @model_validator(mode="after")
    def _what_rolls_back_is_over_the_limit(self) -> Settings:
        for name in ("error_rate", "p95_latency"):
            if self.monitor and getattr(self.limits, name) > getattr(self.monitor.roll_back_at, name):
                raise ValueError(
                    f"monitor.roll_back_at.{name} must be limits.{name} or more: what rolls back at once is bad"
                )
        return self

    @model_validator(mode="after")
    def _the_control_has_time_for_a_question(self) -> Settings:
        within = self.rollback
        if within.policy != "automatic":  # nobody asks it
            return self
        control = f"rollback.control_within ({duration_text(within.control_within)}) must be"
        if within.control_within <= self.smoke.timeout:
            timeout = duration_text(self.smoke.timeout)
            raise ValueError(
                f"{control} longer than smoke.timeout ({timeout}): else a revision that hangs is never seen to"
            )
        if within.control_within > within.shift_within:
            shift = duration_text(within.shift_within)
            raise ValueError(f"{control} at most rollback.shift_within ({shift}): users meet the bad release meanwhile")
        return self

    @property
    def main_role(self) -> Role:
        """What the post-deploy phases verify: production, where the environment plays it."""
        return "production" if "production" in self.roles else "staging"

    def playing(self, role: str) -> Settings:
        """These settings for one of the roles alone."""
        return self.model_copy(
            update={"roles": [role], "targets": {played: at for played, at in self.targets.items() if played == role}}
        )

    @property
    def target(self) -> Target:
        """The service of the main role. Raises KeyError while the sandbox does not run."""
        return self.targets[self.main_role]

    def configured(self, section: str) -> bool:
        """Whether the dotted `section`, such as `flows.login`, stands in the file.

        `cloud_run` and `certificate` belong to the target; the sandbox always has them, and a GitHub.
        """
        if section == "cloud_run":
            return self.sandbox or self.target.cloud_run is not None
        if section == "github":
            return self.sandbox or self.github is not None
        if section == "certificate":
            return self.sandbox or (self.target.certificate_url or self.target.url).startswith("https://")
        return self._table(section) is not None

    def asked_at_most(self, section: str) -> int | None:
        """How often the question of the flow at the dotted `section` may be put; None for what is no flow."""
        table = self._table(section)
        return table.asked_at_most if isinstance(table, Flow) else None

    def _table(self, section: str) -> object:
        table: object = self
        for name in section.split("."):
            table = getattr(table, name, None)
        return table

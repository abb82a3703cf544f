"""The service as its users see it: where it is, its health paths, the flows through it, and how it is asked."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from verification.settings.tables import Address, Path, Table, Text
from verification.settings.units import Seconds

FieldType = Literal["string", "number", "boolean", "list", "object"]

REFERENCE = re.compile(r"\$([A-Z][A-Z0-9_]*)")  # a value that is read from an environment variable
_SECRET_KEY = re.compile(r"passw|secret|token|api_?key", re.IGNORECASE)


class ServiceInfo(Table):
    """`[service]`: what people call it."""

    name: Text


class CloudRunSettings(Table):
    """`[environments.NAME.cloud_run]`: where the service lives. `endpoint` is for an emulator or a private address.

    `monitoring` is the host:port of an emulator of Cloud Monitoring (gRPC) on this machine, `logging` the address of
    one of Cloud Logging (HTTP).
    """

    service: Text
    region: Text
    project: Text
    endpoint: Address | None = None
    monitoring: Text | None = None
    logging: Address | None = None


class Target(Table):
    """The service of one role. `certificate_url`: where TLS ends, if not at `url`; `ca_file`: a private authority."""

    url: Address
    certificate_url: Address | None = None
    ca_file: str | None = None
    cloud_run: CloudRunSettings | None = None


class HealthQuestion(Table):
    """A health path, and the values (dotted path in the answer -> value) that it must answer with."""

    path: Path
    expect: dict[str, str | int | float | bool] = {}


class DeepHealth(Table):
    """The deep health path: the states that count as healthy, and the services that must be healthy themselves."""

    path: Path
    healthy: list[str] = Field(default=["healthy"], min_length=1)
    healthy_on_staging: list[str] = Field(default=["healthy", "degraded"], min_length=1)
    critical: list[str] = []

    def states(self, role: str) -> list[str]:
        """The overall states that count as healthy for `role`."""
        return self.healthy_on_staging if role == "staging" else self.healthy


class ReportedRevision(Table):
    """Where the service itself says which revision answers."""

    path: Path
    field: Text


class Health(Table):
    """`[health]`: the health paths, and where the service says which revision answers; all may be left out."""

    basic: HealthQuestion | None = None
    readiness: HealthQuestion | None = None
    deep: DeepHealth | None = None
    reported_revision: ReportedRevision | None = None


class Flow(Table):
    """What all flows have. `asked_at_most`: how often its question may be put in one run, once it has failed."""

    asked_at_most: int = Field(default=60, ge=1, le=60)


class LoginFlow(Flow):
    """`[flows.login]`: a JSON body is posted; the answer carries a token; a wrong password is refused.

    The wrong password is sent once in a run, besides what `asked_at_most` allows. Secrets stand in the body as `$NAME`,
    the environment variable that holds them.
    """

    path: Path
    body: dict[str, str] = Field(min_length=1)
    token: Text
    password_field: Text
    refused_with: int = Field(default=401, ge=400, le=499)
    asked_at_most: int = Field(default=16, ge=1, le=60)

    @model_validator(mode="after")
    def _password_is_sent(self) -> LoginFlow:
        if self.password_field not in self.body:
            raise ValueError("password_field names no key of body")
        return self

    @model_validator(mode="after")
    def _secrets_are_references(self) -> LoginFlow:
        for key, value in self.body.items():
            secret = key == self.password_field or _SECRET_KEY.search(key)
            if (secret or value.startswith("$")) and not REFERENCE.fullmatch(value):
                raise ValueError(f'body.{key} must name an environment variable, such as "$SMOKE_USER_PASSWORD"')
        return self


class ListFlow(Flow):
    """A flow that answers with a list: where it is, how long it may be, what each item has."""

    path: Path
    items: Text
    at_least: int = Field(default=0, ge=0)
    at_most: int | None = Field(default=None, ge=1)
    fields: dict[str, FieldType] = {}
    signed_in: bool = False

    @property
    def most(self) -> float:
        """The largest length allowed; infinite where the file sets none."""
        return float("inf") if self.at_most is None else self.at_most


class PlaybackFlow(Flow):
    """`[flows.video_playback]`: the listed content's media addresses, asked for their first bytes."""

    url_field: Text
    sample: int = Field(default=3, ge=1, le=20)
    media_types: list[Text] = Field(min_length=1)


class Flows(Table):
    """`[flows]`: the critical user flows; one that is left out is not configured."""

    login: LoginFlow | None = None
    content_listing: ListFlow | None = None
    search: ListFlow | None = None
    video_playback: PlaybackFlow | None = None

    @model_validator(mode="after")
    def _flows_have_what_they_need(self) -> Flows:
        if self.video_playback and not self.content_listing:
            raise ValueError("flows.video_playback takes its addresses from flows.content_listing, which is missing")
        signed_in = [name for name in ("content_listing", "search") if getattr(getattr(self, name), "signed_in", False)]
        if signed_in and not self.login:
            raise ValueError(f"flows.{signed_in[0]} is signed_in, but flows.login is missing")
        return self


class Smoke(Table):
    """`[smoke]`: how the service is asked. A question that failed is asked again for `confirm_within` at most.

    An address is shown without its query, in which a signature may stand, but for `shown_parameters`.
    """

    timeout: Seconds = Field(default=10, gt=0, le=300)
    retry_after: Seconds = Field(default=30, gt=0)
    within: Seconds = Field(default=300, gt=0)
    confirm_within: Seconds = Field(default=15, gt=0, le=300)
    largest_answer_mb: float = Field(default=5, gt=0, le=100)
    shown_parameters: list[Text] = []

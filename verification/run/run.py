"""One run against one environment: its settings, its sandbox if it has one, and the probes that it starts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from verification.checks import credentials
from verification.deadline import now
from verification.errors import NoInstance, ObserverError
from verification.probe import Probes, rests_on
from verification.records.rollback_plan import PreviousRevisionHint
from verification.records.run_record import POST_DEPLOY_PHASES
from verification.run.resources import RunFacts, RunResources

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import ServiceState
    from verification.clients.service.client import Service
    from verification.local_sandbox.addresses import DeploymentNote
    from verification.local_sandbox.sandbox import Sandbox
    from verification.series import WatchSnapshot

DEPLOYMENT = "workflow_run"  # the probe that waits until the deployment has ended
_LOGIN = {"login", "refused_login"}
_VISIBLE_LATE = 600.0
_LONGEST_REHEARSAL = 60.0
_LOGGED_WITHIN = 5.0  # seconds
_SEEN_WITHIN = 3.0  # seconds
_SEEN_AFTER = 3.0  # seconds until the sandbox's Cloud Monitoring shows what happened


@dataclass(eq=False)
class Run(RunFacts):
    """One run: its facts, its sandbox and its probes. Nothing outside is touched before `start`.

    `sources` says where each part of the settings came from, `faults` what the sandbox shall break.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    started: bool = field(default=False, init=False)
    asked_since: datetime | None = field(default=None, init=False)  # when the first question was put

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._sandbox: Sandbox | None = None
        others = [role for role in self.settings.roles if role != self.settings.main_role]
        self._resources = {role: RunResources(self, role) for role in ("", *others)}
        # One question may wait for a start that is not finished, and for the two answers before it in its chain;
        # the service's own tests may take longer.
        smoke = self.settings.smoke
        within = max(smoke.retry_after + 3 * smoke.timeout + 10, self._longest_probe())
        self.probes = Probes(self.resources(), within, {role: self.resources(role) for role in others})

    def resources(self, role: str = "") -> RunResources:
        """What probes and fixtures are given by name; `role` is empty for the run's main one."""
        return self._resources[role]

    def new_client(self, url: str = "") -> Service:
        """A client of the service (or of a revision of it, at its own `url`) with connections of its own.

        It does not wait for a start to finish: that was granted to whoever asked first.
        """
        from verification.clients.service.client import Service

        target, smoke = self.settings.target, self.settings.smoke
        target = target.model_copy(update={"url": url}) if url else target
        return Service(target, smoke.model_copy(update={"within": 0.0}))

    def refuted_by_log(self, refusal: NoInstance) -> ObserverError | None:
        """What `refusal` comes to where Cloud Run's log shows that it was none; None where it stands."""
        logging = self.resources().cloud_logging
        if logging is None:
            return None
        from verification.clients.service.origin import refuted_by_log

        try:
            return refuted_by_log(refusal, logging, _LOGGED_WITHIN)
        except ObserverError:
            return None

    def header(self) -> list[str]:
        """The target and where it came from, for the first lines that a user reads."""
        settings = self.settings
        lines = [f"environment: {settings.environment} (--env), plays {' and '.join(settings.roles)}"]
        if settings.sandbox:
            attached = self.variables.get("SANDBOX")
            where = f"the sandbox at {attached} (SANDBOX)" if attached else "a sandbox of this run's own"
            lines.append(f"target: {where}{'; faults: ' + ', '.join(self.faults) if self.faults else ''}")
        else:
            lines.append(f"target: {settings.target.url} ({self.sources['url']})")
            run = settings.target.cloud_run
            if run:
                lines.append(
                    f"cloud run: {run.service} in {run.region}, project {run.project} ({self.sources['project']})"
                )
        policy = settings.rollback.policy
        lines.append(f"settings: {self.sources['settings']}; rollback: {policy}")
        return lines

    def need_secrets(self, fixtures: Iterable[str]) -> None:
        """Raise SettingsError for a secret that the selected criteria's `fixtures` need and that is not set."""
        login = self.settings.flows.login
        if login and not self.settings.sandbox and _LOGIN & set(fixtures):
            credentials(login, self.variables)

    def start(self, fixtures: Collection[str]) -> None:
        """Open the sandbox if this environment is one, then start all probes among `fixtures`. Raises SettingsError."""
        self.need_secrets(fixtures)
        if self.settings.sandbox:
            self._enter_sandbox()
        self.record.target = self.settings.target.url
        self.record.service = self.settings.target.cloud_run.service if self.settings.target.cloud_run else ""
        self.started = True
        self._ask_first(fixtures)

    @property
    def waits_for_deployment(self) -> bool:
        """Whether nothing has been asked yet but whether the deployment is through."""
        return self.probes.asked == {DEPLOYMENT}

    def ask_deployed(self, fixtures: Collection[str]) -> None:
        """Start the probes among `fixtures`, now that the deployment is through."""
        self._ask(fixtures)

    def snapshot(self) -> WatchSnapshot | None:
        """The watch as it stands, for whoever looks on; None while nothing is watched."""
        return self.watcher.snapshot() if self.watcher else None

    def close(self) -> None:
        """Let go of everything that was opened."""
        if self.watcher is not None:
            self.watcher.stop()
        for resources in self._resources.values():
            resources.close()
        self.probes.close()
        self._stack.close()

    def _enter_sandbox(self) -> None:
        from verification.local_sandbox.sandbox import open_sandbox

        self._sandbox = sandbox = self._stack.enter_context(open_sandbox(self.variables))
        self.settings = sandbox.settings(self.settings)
        self.variables = sandbox.variables(self.variables)
        if "pre" in self.record.phases:
            # Nothing is deployed yet. A revision with faults is what staging shows of the release; where the release
            # is deployed in this run, staging did not see them coming.
            later = sandbox.carried_by_revisions(self.faults) if len(self.record.phases) > 1 else ()
            now_broken = [fault for fault in self.faults if fault not in later]
            if now_broken:
                sandbox.plant(now_broken)
            return
        # In a sandbox of our own a release is what there is to verify; one that we only attach to is taken as it is.
        self._note(sandbox.release(self.faults) if self.faults or sandbox.ours else sandbox.note())
        if self.record.phases == ("followup",) and sandbox.ours:
            self._let_time_pass()

    def deploy(self, fixtures: Collection[str]) -> None:
        """Deploy the release to the sandbox, and start the probes among `fixtures` anew. Raises as `start`."""
        assert self._sandbox is not None, "only a sandbox is deployed to"
        self._note(self._sandbox.release(self.faults))
        self.probes.forget()
        self._ask_first(fixtures)

    def follow_up(self, fixtures: Collection[str]) -> None:
        """Let the second watch pass, as far as a sandbox's run may wait for it, and start the probes anew."""
        self._let_time_pass()
        self.probes.forget()
        self._ask(fixtures)

    def ask_again(self) -> bool:
        """Ask the service anew, because it was being changed. False where it is watched: that goes on."""
        since = now()
        again = self.probes.ask_again()
        self.asked_since = since if again else self.asked_since
        return again

    def _ask_first(self, fixtures: Collection[str]) -> None:
        """Ask everything; of a deployment that is followed, its end alone: what serves until then is another's."""
        if any(rests_on(name, DEPLOYMENT) for name in fixtures):
            self.probes.start((DEPLOYMENT,))
        else:
            self._ask(fixtures)

    def _ask(self, fixtures: Collection[str]) -> None:
        self.served_before = self._what_serves() if POST_DEPLOY_PHASES & set(self.record.phases) else None
        self.asked_since = now()
        self.probes.start(fixtures)

    def _what_serves(self) -> ServiceState | None:
        """What Cloud Run says before the first question; None where it does not say, or its change does not end.

        A watch cannot begin again, nor is a wrong password tried twice: then this alone tells what has changed since.
        """
        cloud_run = self.resources().cloud_run
        try:
            return cloud_run.limited_to(_SEEN_WITHIN).settled_service(_SEEN_WITHIN) if cloud_run else None
        except ObserverError:
            return None

    def _let_time_pass(self) -> None:
        watch = self.settings.followup.second_watch
        if self.settings.sandbox and watch <= _LONGEST_REHEARSAL:
            time.sleep(watch + _SEEN_AFTER)

    def _note(self, note: DeploymentNote) -> None:
        self.hint = self.hint or PreviousRevisionHint(note.previous, "the sandbox's deployment note")
        self.revision = self.revision or note.current

    def _longest_probe(self) -> float:
        code, migrations, sentry = self.settings.code, self.settings.migrations, self.settings.sentry
        backup = migrations.backup if migrations else None
        return max(
            code.within + 60 if code else 0,
            15 * migrations.timeout if migrations else 0,  # copy, up, up again, down, and what is compared between
            4 * backup.timeout if backup else 0,
            sentry.canary_within + 5 * sentry.timeout if sentry else 0,
            self.settings.deploy.within + 60,
            self._longest_watch(),
        )

    def _longest_watch(self) -> float:
        monitor = self.settings.monitor
        if monitor is None:
            return 0
        # Whatever the profiles are: the wait for the first request, the watch, and what is visible late.
        longest = max(monitor.at_most(()), monitor.at_most(("hotfix",)))
        return monitor.first_request_within + longest + _VISIBLE_LATE

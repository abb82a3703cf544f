"""The resources of probes and fixtures, for one role: settings, clients, and what the run was told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from verification.deadline import now
from verification.errors import SettingsError
from verification.probe import Probes
from verification.records.rollback_plan import NamedRevisions, PreviousRevisionHint
from verification.records.run_record import RunRecord
from verification.resource import Resources, resource

if TYPE_CHECKING:
    from verification.clients.google.cloud_logging import CloudLogging
    from verification.clients.google.cloud_monitoring import CloudMonitoring
    from verification.clients.google.cloud_run import CloudRun, ServiceState
    from verification.clients.service.client import Service
    from verification.records.deployment_log import DeploymentLog
    from verification.settings.checkout import Code, Release
    from verification.settings.migrations import Migrations
    from verification.settings.model import Settings
    from verification.source_tree.checkout import Checkout
    from verification.source_tree.commands import Commands
    from verification.watch.setup import Watcher


@dataclass(eq=False)
class RunFacts:
    """What a run was told and has found out so far: what its resources are made from."""

    settings: Settings
    deployment: Path  # the file deployment.toml
    record: RunRecord
    hint: PreviousRevisionHint | None = None  # the previous revision, if somebody named it
    revision: str = ""  # the deployed revision, if somebody named it
    commit: str = ""  # the commit to be released, if somebody named it; else what is checked out
    sign_offs: Mapping[str, str] = field(default_factory=dict)  # who answers for which line of the checklist
    resume: Path | None = None  # the folder of the run whose watch goes on in this one
    variables: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    logs: Path = Path()  # where the output of commands lands: the run's folder
    watcher: Watcher | None = None  # once something is watched
    on_certain: Callable[[str, str], None] = lambda _criterion, _reason: None  # told what a watch is certain about
    served_before: ServiceState | None = field(default=None, init=False)  # just before the first question
    probes: Probes = field(init=False)

    @property
    def origin(self) -> str:
        """The service's address on Cloud Run, past who stands in front of it; empty where no other is asked."""
        known = self.served_before
        if known is None or urlsplit(self.settings.target.url).netloc in known.hosts:
            return ""
        return known.url

    def log(self) -> DeploymentLog:
        """The record over all deployments. Raises SettingsError."""
        from verification.records.deployment_log import open_log

        return open_log(self.settings.deployment_log, self.logs.parent, self.variables)


class RunResources(Resources):
    """The resources of `run` for one `role`, which is empty for the run's main one."""

    def __init__(self, run: RunFacts, role: str) -> None:
        super().__init__()
        self._run = run
        self._role = role

    @resource
    def settings(self) -> Settings:
        """The settings of the environment that plays the role."""
        return self._run.settings.playing(self._role) if self._role else self._run.settings

    @resource
    def code(self) -> Code | None:
        """The table [code]."""
        return self.settings.code

    @resource
    def release(self) -> Release | None:
        """The table [release]."""
        return self.settings.release

    @resource
    def migrations(self) -> Migrations | None:
        """The table [migrations]."""
        return self.settings.migrations

    @resource
    def service(self) -> Service:
        """The client of the service under verification."""
        from verification.clients.service.client import Service

        return Service(self.settings.target, self.settings.smoke)

    @resource
    def service_at_origin(self) -> Service | None:
        """The client of the service at its own address, past who stands in front of it; None where it has no other."""
        from verification.clients.service.client import Service

        url = self._run.origin
        return Service(self.settings.target.model_copy(update={"url": url}), self.settings.smoke) if url else None

    @resource
    def cloud_run(self) -> CloudRun | None:
        """The client of Cloud Run; None where it is not configured."""
        from verification.clients.google.cloud_run import CloudRun

        table = self.settings.target.cloud_run
        return CloudRun(table) if table else None

    @resource
    def cloud_monitoring(self) -> CloudMonitoring | None:
        """The client of Cloud Monitoring; None where Cloud Run is not configured."""
        from verification.clients.google.cloud_monitoring import CloudMonitoring

        table = self.settings.target.cloud_run
        return CloudMonitoring(table) if table else None

    @resource
    def cloud_logging(self) -> CloudLogging | None:
        """The client of Cloud Logging; None where Cloud Run is not configured."""
        from verification.clients.google.cloud_logging import CloudLogging

        table = self.settings.target.cloud_run
        return CloudLogging(table) if table else None

    @resource
    def checkout(self) -> Checkout:
        """The checked out source of the service. Raises SettingsError where none is configured."""
        from verification.source_tree.checkout import Checkout

        folder, release = self.settings.checkout, self.settings.release
        if folder is None:
            raise SettingsError("checkout is not configured", "Add a table [checkout] to deployment.toml.")
        path = self._run.deployment.parent / folder.path
        return Checkout(path, release.git_timeout) if release else Checkout(path)

    @resource
    def commands(self) -> Commands:
        """What runs commands; their output lands in the run's folder."""
        from verification.source_tree.commands import Commands

        return Commands(self._run.logs, self._run.variables)

    @resource
    def watcher(self) -> Watcher:
        """What watches the service for the monitoring window."""
        from verification.watch.setup import Watcher
        from verification.watch.sources.factory import WatchContext

        run = self._run
        context = WatchContext(
            self.settings,
            self.service,
            self.service_at_origin,
            self.cloud_run,
            self.cloud_monitoring,
            self.cloud_logging,
            self.variables,
            self.logs,
            self.clock,
            run.revision,
            run.record.profiles,
            run.record.dry_run,
            run.resume,
            run.record.notices,
            run.on_certain,
        )
        run.watcher = watcher = Watcher(context)
        return watcher

    @resource
    def logs(self) -> Path:
        """The run's folder."""
        return self._run.logs

    @resource
    def candidate_commit(self) -> str:
        """The commit to be released, if somebody named it."""
        return self._run.commit

    @resource
    def named(self) -> NamedRevisions:
        """The revisions that somebody named."""
        return NamedRevisions(self._run.revision, self._run.hint.revision if self._run.hint else "")

    @resource
    def role(self) -> str:
        """The role itself."""
        return self._role

    @resource
    def clock(self) -> Callable[[], datetime]:
        """The time of day, in UTC."""
        return now

    @resource
    def dry_run(self) -> bool:
        """Whether nothing may be written (`--dry-run`)."""
        return self._run.record.dry_run

    @resource
    def sign_offs(self) -> Mapping[str, str]:
        """Who answers for which line of the checklist (`--sign-off`)."""
        return self._run.sign_offs

    @resource
    def deployment_log(self) -> DeploymentLog:
        """The record over all deployments. Raises SettingsError."""
        return self._run.log()

    @resource
    def variables(self) -> Mapping[str, str]:
        """The environment variables, in which the secrets are."""
        return self._run.variables

    @resource
    def probes(self) -> Probes:
        """The probes, for one that needs another in some cases only."""
        return self._run.probes

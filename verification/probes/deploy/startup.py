"""The probe of how a new revision started: what its log says of that, of its database, and of errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from verification.deadline import Deadline, now, poll
from verification.errors import ObserverError
from verification.probe import probe
from verification.settings.model import Settings
from verification.settings.units import duration_text
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.clients.google.cloud_logging import CloudLogging, LogEntry
    from verification.clients.google.cloud_run import CloudRun, RevisionState
    from verification.probes.revision import Traffic
    from verification.records.rollback_plan import NamedRevisions

SEEN = "seen"
_PAUSE = 1.0
_ERRORS = frozenset({"ERROR", "CRITICAL", "ALERT", "EMERGENCY"})
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class StartupLog:
    """What the log of a revision says of its start: the lines that must be there, and how many errors."""

    lines: MeasurementSet
    errors: Measurement


@probe
def startup_log(
    settings: Settings, cloud_logging: CloudLogging, cloud_run: CloudRun, traffic: Traffic, named: NamedRevisions
) -> StartupLog:
    """Read the deployed revision's log, until it tells of its start or could have. Raises ObserverError."""
    deploy, revision = settings.deploy, cloud_run.revision(named.revision or traffic.state.latest_created)
    wanted = {"start": deploy.started, **({"database connection": deploy.connected} if deploy.connected else {})}
    deadline = Deadline.after(deploy.logged_within)
    lines = [
        poll(partial(_line, name, text, revision, cloud_logging), deadline, _PAUSE)
        or _missing(name, text, revision, deploy.logged_within)
        for name, text in wanted.items()
    ]
    end = min(now(), revision.created + timedelta(seconds=deploy.startup))
    errors = [
        line
        for line in cloud_logging.troubles(revision.created, end)
        if line.revision == revision.name and line.severity in _ERRORS
    ]
    return StartupLog(MeasurementSet(tuple(lines)), _counted(errors, revision, end))


def _line(name: str, text: str, revision: RevisionState, cloud_logging: CloudLogging) -> Measurement | None:
    found = cloud_logging.first_line(revision.name, text, revision.created, now())
    if found is None:
        return None
    after = (found.at - revision.created).total_seconds()
    note = f"{found.text} ({after:.1f} s after the revision was created)"
    return Measurement(name, SEEN, source=f"log of {revision.name}", observed_at=found.at, note=note)


def _missing(name: str, text: str, revision: RevisionState, within: float) -> Measurement:
    problem = ObserverError(
        f"the log of {revision.name} has no line with {text!r}, looked for during {duration_text(within)}",
        "Look at the log: did it start? Are these its words ([deploy] in deployment.toml)?",
    )
    return Measurement(name, None, source=f"log of {revision.name}", problem=problem)


def _counted(errors: Iterable[LogEntry], revision: RevisionState, end: datetime) -> Measurement:
    found = list(errors)
    note = "; ".join(line.text for line in found[:_SHOWN])
    window = (end - revision.created).total_seconds()
    return Measurement(
        "errors in the log", len(found), source=f"log of {revision.name}", window_s=round(window, 1), note=note
    )

"""The journal of one run: what was planned, what failed, what was done; on disk before the step that it announces.

A journal that cannot be written stops nothing: a rollback goes on, and says that it leaves no trace. `JournalView` is
the one reader; a run's identity stands in the journal, not in the name of its folder.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from verification.deadline import now
from verification.records.jsonl import append_line, read_lines
from verification.records.process import ProcessIdentity
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackResult
from verification.redaction import redact

if TYPE_CHECKING:  # the supervisor reads journals, and must not cost every run the import of the settings
    from verification.settings.service import CloudRunSettings

JOURNAL = "journal.jsonl"
_UNDER_WAY = frozenset({"rolling-back", "shifted", "verified"})


class JournalEvent(StrEnum):
    """What the journal tells of a run; strategies and channels add events of their own."""

    BEGUN = "begun"
    ARMED = "armed"
    FAILED = "failed"
    SETTLED = "settled"
    RESUMED = "resumed"
    CONTROL_TAG_SET = "control-tag-set"
    CONTROL_TAG_REMOVED = "control-tag-removed"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line that was read back; `fields` is everything that stood there besides `seq`, `at` and `event`."""

    seq: int
    at: datetime
    event: str
    fields: Mapping[str, object]

    def text(self, name: str) -> str:
        """The field `name` as text; empty when it is missing."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool | None:
        """The field `name` as a truth value; None when it is missing or none."""
        value = self.fields.get(name)
        return value if isinstance(value, bool) else None


class RunIdentity(BaseModel):
    """Whose journal it is: the run, its process, and whether it may roll back (`allowed`) and write (`dry_run`).

    `phases` is empty for a rollback by hand. `token` is what the process was given by whoever started it, `pid_started`
    in seconds since 1970 (0: not known).
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    environment: str = ""
    phases: tuple[str, ...] = ()
    allowed: bool = True
    dry_run: bool = False
    token: str = ""
    host: str = ""
    pid: int = 0
    pid_started: float = 0.0

    @property
    def process(self) -> ProcessIdentity | None:
        """The process of the run, if the journal tells."""
        return ProcessIdentity(self.host, self.pid, self.pid_started) if self.pid else None

    @property
    def is_running(self) -> bool:
        """Whether the run's process still is at it."""
        return self.process is not None and self.process.is_running


class Journal:
    """The journal in the file `path`; an existing one is continued. `problem` says why it cannot be written, if so.

    A run's threads write to one journal: a watch, what it is certain about; whoever decides, all else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._lock = threading.RLock()
        entries = JournalView.read(path).entries
        self._seq = max((entry.seq for entry in entries), default=0)
        self._failed = {entry.text("criterion") for entry in entries if entry.event == JournalEvent.FAILED}

    def write(self, event: str, **fields: object) -> None:
        """Append a line, cleaned of secrets, and return when it is on disk. `fields` are JSON values. Never raises."""
        cleaned = {name: _redacted(value) for name, value in fields.items()}
        with self._lock:
            self._seq += 1
            line = json.dumps({"seq": self._seq, "at": now().isoformat(), "event": event, **cleaned})
            try:
                append_line(self.path, line)
            except OSError as error:
                if not self.problem:
                    self.problem = f"the journal {self.path} cannot be written: {error.strerror}"
                    print(f"{self.problem}; going on without it", file=sys.stderr)

    def begun(self, *, environment: str, phases: Sequence[str], allowed: bool, dry_run: bool, token: str = "") -> None:
        """Note whose journal this is: see `RunIdentity`."""
        process = ProcessIdentity.current()
        identity = RunIdentity(
            environment=environment,
            phases=tuple(phases),
            allowed=allowed,
            dry_run=dry_run,
            token=token,
            host=process.host,
            pid=process.pid,
            pid_started=process.started,
        )
        self.write(JournalEvent.BEGUN, **identity.model_dump(mode="json"))

    def armed(self, service: CloudRunSettings, plan: RollbackPlan) -> None:
        """Note, before anything is judged, what a rollback would do: enough to finish it without this process."""
        self.write(
            JournalEvent.ARMED,
            project=service.project,
            region=service.region,
            service=service.service,
            plan=plan.as_fields(),
        )

    def failed(self, criterion: str, reason: str = "", *, trigger: bool = True) -> None:
        """Note that `criterion` failed; a second time says nothing new and is left out.

        `trigger`: it calls for a rollback, as another revision could mend it.
        """
        with self._lock:
            if criterion in self._failed:
                return
            self._failed.add(criterion)
            self.write(JournalEvent.FAILED, criterion=criterion, reason=reason, trigger=trigger)

    def settled(self, result: RollbackResult, **fields: object) -> None:
        """Note that nothing is due any more, and what `result` that is."""
        known = _result_adapter().dump_python(result, mode="json", exclude={"seconds", "checks"})
        self.write(JournalEvent.SETTLED, **known, **fields)


@dataclass(frozen=True, slots=True)
class JournalView:
    """The journal in the file `path`, as it was read, oldest entry first."""

    path: Path
    entries: tuple[JournalEntry, ...]

    @classmethod
    def read(cls, path: Path) -> JournalView:
        """What stands in `path` now. Torn and foreign lines are passed over; no file is an empty journal."""
        return cls(path, tuple(entry for line in read_lines(path) if (entry := _parsed(line)) is not None))

    def last(self, *events: str) -> JournalEntry | None:
        """The newest entry of one of these events."""
        return next((entry for entry in reversed(self.entries) if entry.event in events), None)

    def every(self, *events: str) -> list[JournalEntry]:
        """All entries of these events."""
        return [entry for entry in self.entries if entry.event in events]

    def has(self, *events: str) -> bool:
        """Whether there is an entry of one of these events."""
        return self.last(*events) is not None

    @property
    def run(self) -> str:
        """The name of the run's folder."""
        return self.path.parent.name

    @property
    def identity(self) -> RunIdentity:
        """Whose journal it is; the defaults stand for what it does not say, or what is not understood."""
        begun = self.last(JournalEvent.BEGUN)
        try:
            return RunIdentity.model_validate(begun.fields) if begun else RunIdentity()
        except ValidationError:
            return RunIdentity()

    @property
    def started(self) -> datetime | None:
        """When the run began its journal."""
        begun = self.last(JournalEvent.BEGUN)
        return begun.at if begun else None

    @property
    def is_by_hand(self) -> bool:
        """Whether this is a person's rollback: no phase was asked."""
        return self.has(JournalEvent.BEGUN) and not self.identity.phases

    @property
    def service(self) -> tuple[str, str, str] | None:
        """Project, region and name of the service that a rollback would move; None when it was never armed."""
        armed = self.last(JournalEvent.ARMED)
        return (armed.text("project"), armed.text("region"), armed.text("service")) if armed else None

    @property
    def plan(self) -> RollbackPlan | None:
        """What a rollback would do; None when it was never armed, or not understood."""
        armed = self.last(JournalEvent.ARMED)
        try:
            return RollbackPlan.from_fields(armed.fields.get("plan")) if armed else None
        except ValueError:
            return None

    @property
    def triggers(self) -> tuple[str, ...]:
        """The failed criteria that call for a rollback."""
        failed = (entry.text("criterion") for entry in self.every(JournalEvent.FAILED) if entry.flag("trigger"))
        return tuple(dict.fromkeys(failed))

    @property
    def control_tags(self) -> tuple[str, ...]:
        """The tags that its control has set, and that nobody has taken away."""
        gone = {entry.text("tag") for entry in self.every(JournalEvent.CONTROL_TAG_REMOVED)}
        found = (entry.text("tag") for entry in self.every(JournalEvent.CONTROL_TAG_SET))
        return tuple(dict.fromkeys(tag for tag in found if tag and tag not in gone))

    @property
    def is_under_way(self) -> bool:
        """Whether a rollback has begun to act."""
        return self.has(*_UNDER_WAY)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is due any more."""
        return self.has(JournalEvent.SETTLED)

    @property
    def result(self) -> RollbackResult | None:
        """What the rollback came to; None as long as it is not settled, or not understood."""
        settled = self.last(JournalEvent.SETTLED)
        if settled is None:
            return None
        try:
            triggers = settled.fields.get("triggers") or self.triggers
            return _result_adapter().validate_python({**settled.fields, "triggers": triggers})
        except ValidationError:
            return None

    def with_failures_of(self, later: JournalView) -> JournalView:
        """The same journal, with the failures that a `later` run saw in its stead."""
        return JournalView(self.path, (*self.entries, *later.every(JournalEvent.FAILED)))


def journals(output: Path, environment: str) -> list[JournalView]:
    """The journals of all runs of `environment` below `output` after a deployment, newest first."""
    views = [JournalView.read(path) for path in output.glob(f"*/{JOURNAL}") if not path.parent.is_symlink()]
    found = [(view.started, view) for view in views if view.started and view.identity.environment == environment]
    return [view for _, view in sorted(found, key=lambda pair: pair[0], reverse=True)]


@cache
def _result_adapter() -> TypeAdapter[RollbackResult]:
    return TypeAdapter(RollbackResult)


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: _redacted(inner) for name, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, Sequence) else value


def _parsed(line: str) -> JournalEntry | None:
    try:
        fields = json.loads(line)
        at = datetime.fromisoformat(fields.pop("at"))
        seq, event = int(fields.pop("seq")), str(fields.pop("event"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return JournalEntry(seq, at, event, fields) if at.tzinfo else None

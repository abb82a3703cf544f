"""What a run left behind: read from its journal, once its process has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from rollback.preflight import Known
from verification.records.journal import Entry, read
from verification.records.process import Process
from verification.records.run_record import POST_DEPLOY_PHASES

BY_HAND = "by hand"
_STEPS = {"rolling-back", "shifted", "verified"}
_RUN = re.compile(r"\d{8}T\d{6}Z-(?P<rest>.+)")


class Due(StrEnum):
    """What must still be done."""

    NOTHING = "nothing"
    ROLLBACK = "the rollback"
    LOOK = "one look at the release"


@dataclass(frozen=True, slots=True)
class Left:
    """The journal in the file `path`, as it was read."""

    path: Path
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, path: Path) -> Left:
        """What stands in `path` now."""
        return cls(path, tuple(read(path)))

    def followed_by(self, later: Left) -> Left:
        """What this run knew, with the failures that a `later` one saw in its place."""
        return Left(self.path, (*self.entries, *(one for one in later.entries if one.event == "failed")))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent

    @property
    def begun(self) -> Entry | None:
        """The line that says which run this is."""
        return self._last("begun")

    @property
    def armed(self) -> Entry | None:
        """The line that says what a rollback would do."""
        return self._last("armed")

    @property
    def settled(self) -> Entry | None:
        """The line that says that nothing is due any more."""
        return self._last("settled")

    @property
    def calls(self) -> bool:
        """Whether the run itself has queued what people are to be told."""
        return self._last("call-queued") is not None

    @property
    def told(self) -> bool:
        """Whether people were called."""
        return self._last("people-called") is not None

    @property
    def environment(self) -> str:
        """Where the run was; empty when the journal does not say."""
        return next((one.text("environment") for one in (self.begun, self.armed) if one), "")

    @property
    def triggers(self) -> tuple[str, ...]:
        """The failed criteria that call for a rollback."""
        failed = (one.text("criterion") for one in self.entries if one.event == "failed" and one.fields.get("trigger"))
        return tuple(dict.fromkeys(failed))

    @property
    def by_hand(self) -> bool:
        """Whether a person had asked for the rollback."""
        return self.armed is not None and self.armed.text("policy") == BY_HAND

    @property
    def due(self) -> Due:
        """What must still be done, the run's process having ended."""
        if self.settled is not None or not (self.begun or self.armed):
            return Due.NOTHING
        under_way = any(one.event in _STEPS for one in self.entries)
        if self.armed is not None and (under_way or self.triggers):
            return Due.ROLLBACK
        if self.by_hand:
            return Due.NOTHING  # it ended before it did anything; whoever asked for it saw that
        return Due.LOOK

    @property
    def allowed(self) -> bool:
        """Whether the run was free to roll back (no `--no-rollback`)."""
        return self.begun is None or self.begun.fields.get("allowed") is not False

    @property
    def dry_run(self) -> bool:
        """Whether the run was to write nothing."""
        return self.begun is not None and self.begun.fields.get("dry_run") is True

    @property
    def process(self) -> Process | None:
        """The process of the run, if the journal tells."""
        entry = self.begun or self.armed
        if entry is None or not entry.text("pid").isdecimal():
            return None
        return Process(entry.text("host"), int(entry.text("pid")), entry.text("pid_started"))

    @property
    def known(self) -> Known:
        """What was known at the start of the run. Nothing, when it was never armed."""
        armed = self.armed
        if armed is None:
            return Known(None, "", None, "", "", "", ("what serves was never looked at",))
        obstacles = armed.fields.get("obstacles")
        return Known(
            None,
            armed.text("revision"),
            _moment(armed.text("created")),
            "",
            armed.text("previous_revision"),
            armed.text("evidence"),
            tuple(map(str, obstacles)) if isinstance(obstacles, (list, tuple)) else (),
        )

    def _last(self, event: str) -> Entry | None:
        return next((one for one in reversed(self.entries) if one.event == event), None)


def newest(output: Path, environment: str) -> Path | None:
    """The journal of the newest run of `environment` after a deployment, which need not exist; None without a run."""
    return next(_runs(output, environment), None)


def journal_of(output: Path, environment: str, pid: int) -> Left | None:
    """The journal that the process `pid` of this machine has just written."""
    for path in _runs(output, environment):
        left = Left.of(path)
        if left.process is not None and left.process.pid == pid:
            return left
    return None


def _runs(output: Path, environment: str) -> Iterator[Path]:
    for folder in sorted(output.glob("*Z-*"), key=lambda one: one.name, reverse=True):
        found = _RUN.fullmatch(folder.name)
        if not found or folder.is_symlink():
            continue
        name = re.sub(r"[^\w.+-]", "_", environment)
        phases = found["rest"].removeprefix(f"{name}-") if found["rest"].startswith(f"{name}-") else ""
        if POST_DEPLOY_PHASES & set(re.split(r"[+-]", phases)) or phases.split("-")[0] in {"all", "rollback"}:
            yield folder / "journal.jsonl"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

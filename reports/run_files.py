"""The folder of one run, and `latest`, which points at the newest one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from reports import summary, verdict_file
from reports.page import banner_page
from verification.records.atomic import write_whole
from verification.records.run_record import RunRecord


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The folder of one run, and where each of its files lies."""

    folder: Path

    @classmethod
    def create(cls, output: Path, environment: str, phases: Iterable[str], started: datetime) -> RunFiles:
        """Make `output/<UTC time>-<environment>-<phases>` and let `output/latest` point at it.

        Report, summary and verdict are there from the start and say that the run has not finished, so that nobody takes
        an older green report for the one of a run that was killed. Raises OSError where `output` cannot be written.
        """
        listed = tuple(phases)
        name = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{environment}-{'+'.join(listed) or 'all'}"
        files = cls(_new_folder(output, re.sub(r"[^\w.+-]", "_", name)))
        unfinished = RunRecord(environment, listed, started=started)
        verdict_file.write(files.verdict, unfinished)
        summary.write(files.summary, unfinished)
        write_whole(files.report, banner_page(unfinished))
        _point_latest_at(files.folder)
        return files

    @property
    def report(self) -> Path:
        """The page for people, self-contained."""
        return self.folder / "report.html"

    @property
    def junit(self) -> Path:
        """The results for CI servers."""
        return self.folder / "junit.xml"

    @property
    def verdict(self) -> Path:
        """The verdict for programs."""
        return self.folder / "verdict.json"

    @property
    def record(self) -> Path:
        """All of the run, for `python -m reports`."""
        return self.folder / "record.json"

    @property
    def summary(self) -> Path:
        """The Markdown for a ticket or a CI summary."""
        return self.folder / "summary.md"

    @property
    def journal(self) -> Path:
        """What a rollback did, step by step; written by `rollback`."""
        return self.folder / "journal.jsonl"


def _new_folder(output: Path, name: str) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    for attempt in count(1):
        folder = output / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:  # another run began in the same second
            continue
        return folder
    raise AssertionError("count() does not end")


def _point_latest_at(folder: Path) -> None:
    latest = folder.with_name("latest")
    note = folder.with_name("latest.txt")
    draft = folder.with_name(f".latest.{secrets.token_hex(4)}")
    try:
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(latest)
    except OSError:  # no symbolic links here (Windows without the right, some network drives), or a folder in the way
        draft.unlink(missing_ok=True)
        write_whole(note, f"{folder.name}\n")
    else:
        note.unlink(missing_ok=True)

"""The one writer of a run's folder, for a run that ends by itself and for one that was killed; and of `latest`."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from itertools import count
from pathlib import Path

from reports import record_file, summary
from reports.killed_run import killed_record
from reports.page import finish_page, full_page
from reports.timeline import timeline
from reports.verdict_file import verdict_file
from reports.why import why
from verification.errors import ObserverError
from verification.records.atomic import write_whole
from verification.records.journal import JournalView
from verification.records.run_record import RollbackResult, RunRecord
from verification.records.unfinished import unfinished_verdict


class RunFiles:
    """The files in the folder of one run: where each lies, and who writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = folder / "report.html"  # the page for people, self-contained
        self.junit = folder / "junit.xml"  # the results for CI servers
        self.verdict = folder / "verdict.json"  # the verdict for programs
        self.record = folder / "record.json"  # all of the run, for `python -m reports`
        self.summary = folder / "summary.md"  # the Markdown for a ticket or a CI summary
        self.journal = folder / "journal.jsonl"  # what a rollback did, step by step; written by `rollback`

    @classmethod
    def create(cls, output: Path, record: RunRecord, phases: Iterable[str]) -> RunFiles:
        """Make `output/<UTC time>-<environment>-<phases>` and let `output/latest` point at it.

        Report, summary and verdict are there from the start and say that the run has not finished, so that nobody takes
        an older green report for the one of a run that was killed. Raises OSError where `output` cannot be written.
        """
        unfinished = replace(record, phases=tuple(phases))
        began = f"{record.started.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        name = f"{began}-{record.environment}-{'+'.join(unfinished.phases) or 'all'}"
        files = cls(_new_folder(output, re.sub(r"[^\w.+-]", "_", name)))
        files._write(unfinished)
        write_whole(files.report, full_page(unfinished))
        _point_latest_at(files.folder)
        return files

    def write(self, record: RunRecord) -> None:
        """Write what a run came to, but for the page and junit.xml, which pytest's plugins write. Raises OSError."""
        self._add_what_the_journal_tells(record)
        self._write(record)

    def read_record(self) -> RunRecord:
        """What was written of the run. Raises ObserverError for a folder that holds no run."""
        return record_file.read(self.record)

    def finish_report(self) -> None:
        """Complete the page that pytest-html has written. Raises OSError."""
        write_whole(self.report, finish_page(self.report.read_text(encoding="utf-8")))

    @property
    def is_unfinished(self) -> bool:
        """Whether the run began its files and could not write its own verdict."""
        return bool(unfinished_verdict(self.folder))

    def finish_killed(self, environment: str, text: str, result: RollbackResult) -> None:
        """Write what is known of a run that was killed: its journal, and `result`, which `text` tells people of.

        A run that wrote its own verdict keeps it, and one that began no files (a rollback by hand) gets the summary
        alone. Never raises: whoever acts in a run's stead has people to call.
        """
        try:
            record = killed_record(self._begun(environment), text, result, self.journal)
            if self.is_unfinished:
                self.write(record)
                write_whole(self.report, full_page(record))
            else:
                self._add_what_the_journal_tells(record)
                write_whole(self.summary, summary.markdown(record))
        except Exception as error:
            print(f"the files of {self.folder} were not written: {type(error).__name__}", file=sys.stderr)

    def _begun(self, environment: str) -> RunRecord:
        try:
            return self.read_record()
        except ObserverError:
            return RunRecord(environment)

    def _add_what_the_journal_tells(self, record: RunRecord) -> None:
        record.timeline = timeline(record, self.journal)
        record.why = why(record, JournalView.read(self.journal))

    def _write(self, record: RunRecord) -> None:
        record_file.write(self.record, record)
        write_whole(self.verdict, verdict_file(record).model_dump_json(indent=2) + "\n")
        write_whole(self.summary, summary.markdown(record))


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

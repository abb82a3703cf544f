"""Output that nobody takes breaks nothing."""

from __future__ import annotations

import os
from pathlib import Path

from _pytest._io import TerminalWriter

from reports.resilient_stdout import ResilientStdout, flush_or_drop

FULL = Path("/dev/full")


def test_a_full_disk_is_noted_once_and_breaks_nothing() -> None:
    with FULL.open("w", encoding="utf-8") as full:
        writer, stdout = TerminalWriter(full), ResilientStdout()
        stdout.wrap(writer)
        writer.line("12 of 12 criteria ran")
        writer.flush()
        assert stdout.lost
        writer.line("nobody hears this")
        assert flush_or_drop(full), "what is left is dropped"
        assert not flush_or_drop(full)


def test_a_reader_that_has_gone_breaks_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as pipe:
        writer, stdout = TerminalWriter(pipe), ResilientStdout()
        stdout.wrap(writer)
        writer.write("F", flush=True)
        assert stdout.lost
        assert flush_or_drop(pipe)


def test_what_is_taken_is_written(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        writer, stdout = TerminalWriter(file), ResilientStdout()
        stdout.wrap(writer)
        writer.line("all well", green=True)
        stdout.close()
        assert (tmp_path / "out").read_text(encoding="utf-8") == "all well\n"
        assert not stdout.lost

"""Whoever prints is never held up, and what was printed arrives as far as somebody takes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.runs.stalled import full_pipe
from verification.output import OutputThread, UnblockedOutput

PIPE_HOLDS = 1 << 16  # bytes, and then it is full


@dataclass
class Pipe:
    """One that is read when a test says so."""

    read_end: int
    write_end: int

    def read(self) -> str:
        """What there is, to the end."""
        os.close(self.write_end)
        with os.fdopen(self.read_end, encoding="utf-8") as file:
            return file.read()


@pytest.fixture
def pipe() -> Pipe:
    return Pipe(*os.pipe())


def test_everything_arrives_in_its_order(pipe: Pipe) -> None:
    thread = OutputThread(pipe.write_end)
    for number in range(1000):
        thread.write(f"{number}\n".encode())
        thread.write(b"")
    assert thread.drained()
    thread.end()
    assert pipe.read() == "".join(f"{number}\n" for number in range(1000))


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_what_was_dropped_is_said_when_it_flows_again(pipe: Pipe) -> None:
    os.write(pipe.write_end, b"\n" * PIPE_HOLDS)
    thread, begun = OutputThread(pipe.write_end, most=10_000), time.monotonic()
    for number in range(20_000):
        thread.write(f"{number:09}\n".encode())
    assert time.monotonic() - begun < 5
    assert not thread.drained()
    thread.write(b"the verdict\n")
    thread.end()
    text = pipe.read()
    written = re.findall(r"^\d{9}$", text, re.MULTILINE)
    dropped = re.findall(r"^\[(\d+) lines were dropped here: nobody took them\]$", text, re.MULTILINE)
    assert sum(map(int, dropped)) == 20_000 - len(written)
    assert text.endswith("000019999\nthe verdict\n"), "the newest are kept"
    assert 990 < len(written) < 1500, "what waits is bounded"
    assert written == sorted(written)


def test_what_takes_nothing_for_long_is_not_waited_for_at_the_end(pipe: Pipe) -> None:
    thread = OutputThread(pipe.write_end)
    thread.write(b"." * PIPE_HOLDS * 2)
    begun = time.monotonic()
    assert not thread.drained()
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    assert not thread.drained()
    assert time.monotonic() - begun < 1, "it was waited for once"
    thread.end()
    assert len(pipe.read()) == PIPE_HOLDS * 2


def test_a_descriptor_that_somebody_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    """As some CI systems hand it to their jobs."""
    os.set_blocking(pipe.write_end, False)
    thread = OutputThread(pipe.write_end)
    thread.write(b"." * PIPE_HOLDS * 4)
    thread.end()
    assert len(pipe.read()) == PIPE_HOLDS * 4


def test_a_full_disk_and_a_reader_that_has_gone_are_noted_and_break_nothing(pipe: Pipe) -> None:
    os.close(pipe.read_end)
    with Path("/dev/full").open("wb") as full:
        for descriptor in (full.fileno(), pipe.write_end):
            thread = OutputThread(descriptor)
            thread.write(b"12 of 12 criteria ran\n")
            assert not thread.drained()
            assert thread.lost
            thread.write(b"nobody hears this\n")
            thread.end()
    os.close(pipe.write_end)


PRINTS = """
import sys
from verification.output import UnblockedOutput

output = UnblockedOutput()
print("all well ✓", file=sys.stdout)
print("and loud", file=sys.stderr)
sys.stdout.write("no newline")
sys.stdout.buffer.write(b", bytes")
assert sys.stdout.fileno() == 1 and not sys.stdout.isatty() and sys.stdout.encoding == sys.__stdout__.encoding
heard = output.is_heard()
output.close()
assert sys.stdout is sys.__stdout__
print("", heard)
"""


def test_both_streams_arrive_in_order_where_both_are_one_file() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=30,
        check=True,
    )
    assert done.stdout == "all well ✓\nand loud\nno newline, bytes True\n"


WRITES_AS_IT_ENDS = """
import os, sys
from verification.output import UnblockedOutput

class AtTheEnd:
    def __del__(self, write=os.write):
        write(2, b"Exception ignored in: ...")

kept = AtTheEnd()
output = UnblockedOutput()
print("nobody reads this")
output.close()
print("nor this")
sys.exit(3)
"""


def test_a_program_ends_although_nobody_takes_what_its_interpreter_writes_as_it_ends() -> None:
    with full_pipe() as stalled:
        done = subprocess.run(
            [sys.executable, "-c", WRITES_AS_IT_ENDS], cwd=ROOT, stdout=stalled, stderr=stalled, timeout=30, check=False
        )
    assert done.returncode == 3


def test_streams_that_are_no_files_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", stand_in := Unreal())
    output = UnblockedOutput()
    assert sys.stdout is None
    assert sys.stderr is stand_in
    assert output.is_heard()
    output.close()


class Unreal:
    """A stream in memory, as a program has that embeds pytest."""

    def fileno(self) -> int:
        raise OSError("it has none")

    def flush(self) -> None:
        pass

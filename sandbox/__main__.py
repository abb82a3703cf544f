"""`python -m sandbox`: starts every stand-in, prints the addresses, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from sandbox.backend.database import Database, User
from sandbox.timing import LARGEST_RPM

_DESCRIPTION = """\
A stand-in for everything around a deployment, on this machine alone: a streaming service in revisions behind an
ingress that splits traffic, its MongoDB, and the Cloud Run APIs as REST, gRPC and gcloud speak them.

When everything is up, one line of JSON with every address is printed on standard output. The program then stays until
SIGINT or SIGTERM; a second signal ends it at once. It leaves no file, socket or process behind."""

_EPILOG = """\
operator API (the address `operator` of the JSON line):
  GET  /                                     the same JSON, with the latest deployments
  GET  /faults                               the faults that can be planted, and those in force
  PUT  /faults  {"faults": [...]}            put faults that no revision carries in force, and only these
  POST /release {"environment": "production", "faults": [...], "commit": "<40 hex digits, optional>"}
                                             deploy a revision with these faults; answers when traffic has settled
                                             a fault may begin later: "error-rate@8s"
  PUT  /users   {"rpm": 600}                 how many requests a minute production's users make
  GET  /served?environment=production        what the ingress answered: counts, and the last 1000 requests
  POST /plant {"github_issue": {"title": "Search is down", "labels": ["P0"]}}
                                             have an incident, message or rate limit appear; also pagerduty_incident,
                                             statuspage_incident, slack_message, slack_rate_limit, github_rate_limit
  DELETE /plant                              close these incidents again, and lift the rate limits
  GET  /slack                                what was written in Slack's channels (its own address has a page to read)

exit codes: 0 ended as asked, 1 could not start, 2 wrong arguments"""


class _ArgumentParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line, without the usage."""
        self.exit(2, f"python -m sandbox: {message} (see --help)\n")


class _Signals:
    """Handles SIGINT and SIGTERM: the first one ends the program in order, the second at once."""

    def __init__(self) -> None:
        self.files: _Files | None = None  # once there are any
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._received)

    async def wait(self) -> None:
        """Return once the program has been asked to end, at once if it was before."""
        self._loop = asyncio.get_running_loop()
        if not self._asked:
            await self._end.wait()

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            if self.files is not None:
                self.files.remove()
            os._exit(128 + number)
        self._asked = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)


class _Files:
    """The private directory, and the announcement if one was asked for."""

    def __init__(self, announcement: Path | None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sandbox-"))
        tempfile.tempdir = str(self.directory)  # the database engine makes a directory too: have it in here
        self._announcement = announcement
        self._announced = False

    def announce(self, line: str) -> None:
        """Write the address document, so that no reader ever sees half of it."""
        if self._announcement is None:
            return
        draft = self._announcement.with_name(f"{self._announcement.name}.{os.getpid()}")
        draft.write_text(line + "\n", encoding="utf-8")
        draft.replace(self._announcement)
        self._announced = True

    def remove(self) -> None:
        """Leave nothing behind. A file that another sandbox announced in the meantime is not ours to remove."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._announced and self._announcement is not None:
            with contextlib.suppress(OSError, ValueError):
                if f'"pid":{os.getpid()},' in self._announcement.read_text(encoding="utf-8"):
                    self._announcement.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    options = _parser().parse_args(arguments)
    signals = _Signals()  # first: whoever ends it while it starts ends it cleanly, too
    signals.files = files = _Files(options.announce)
    try:
        asyncio.run(_run(files, signals, options))
    except ModuleNotFoundError as error:
        return _complain(f"the package {error.name!r} is missing; install the project with its extra 'sandbox'")
    except OSError as error:
        return _complain(f"could not start: {error}")
    finally:
        files.remove()
    return 0


async def _run(files: _Files, signals: _Signals, options: argparse.Namespace) -> None:
    # The database's engine computes for most of a second without needing the interpreter. Import it first and start it
    # in a thread, then import the rest meanwhile: half of the time until ready.
    gc.disable()  # imports make much and drop nothing: collecting meanwhile would take a tenth of the start
    import secantus  # noqa: F401

    smoke_user = User()
    database = Database(smoke_user)
    thread = ThreadPoolExecutor(1)  # one: the engine wants to be stopped by the thread that started it
    database_started = asyncio.get_running_loop().run_in_executor(thread, database.start)
    from sandbox.world import World

    world = World(files.directory, database, smoke_user, options.users_rpm)
    try:
        await world.start(database_started)
        line = world.document().as_line()
        gc.freeze()
        gc.enable()
        files.announce(line)
        print(line, flush=True)
        ends = [asyncio.create_task(signals.wait())]
        if options.with_parent is not None:
            ends.append(asyncio.create_task(_until_gone(options.with_parent)))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await world.stop()
        await asyncio.wait([database_started])
        await asyncio.get_running_loop().run_in_executor(thread, database.stop)
        thread.shutdown()


async def _until_gone(parent: psutil.Process) -> None:
    while _lives(parent):  # noqa: ASYNC110  # nobody would set an event: processes can only be asked about
        await asyncio.sleep(1)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _parser() -> argparse.ArgumentParser:
    parser = _ArgumentParser(
        prog="python -m sandbox",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--announce",
        type=_writable,
        metavar="FILE",
        help="also write the address document to FILE, which appears complete and is removed at the end",
    )
    parser.add_argument(
        "--with-parent", type=_running, metavar="PID", help="end when the process PID is gone (asked once a second)"
    )
    parser.add_argument(
        "--users-rpm",
        type=_rate,
        default=0,
        metavar="N",
        help=f"requests a minute of production's users, who also have an hour's past (default 0, most {LARGEST_RPM})",
    )
    return parser


def _rate(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_RPM):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {LARGEST_RPM}")
    return int(text)


def _writable(text: str) -> Path:
    path = Path(text).absolute()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write {text}: its folder does not exist or is not writable")
    return path


def _running(text: str) -> psutil.Process:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a process id")
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(text))
        if _lives(process):
            return process
    raise argparse.ArgumentTypeError(f"there is no process {text}")


def _complain(message: str) -> int:
    print(f"python -m sandbox: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Everything has ended by now; taking the interpreter apart would only add half a second.
    os._exit(code)

"""The supervisor: a process of its own session that outlives pytest, and brings to its end what pytest left undone.

It waits until pytest has ended, in whatever way (SIGKILL, `os._exit`, a segmentation fault), then reads the journal.
Settled: there is nothing to do, and nothing is done. Everything heavy is imported after that question. Only where a
rollback is due and pytest hangs instead of doing it (without memory, a thread may wait for ever) is pytest ended.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from verification.records.journal import read
from verification.records.process import Parent
from verification.verdict import now

_LOOK = 5.0
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait for the end of the parent, and act if it left something undone. Exit codes as `python -m rollback`."""
    parser = argparse.ArgumentParser(prog="python -m rollback.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, required=True, metavar="PID")
    parser.add_argument("--env", dest="environment", required=True, metavar="NAME")
    parser.add_argument("--patience", type=float, required=True, metavar="SECONDS")
    for option in ("--journal", "--deployment", "--output"):
        parser.add_argument(option, type=Path, required=True, metavar="PATH")
    options = parser.parse_args(arguments)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _wait(Parent(options.parent), options.journal, options.patience)
    if any(entry.event == "settled" for entry in read(options.journal)) and not _unfinished(options.journal):
        return 0
    from rollback.supervisor.resume import Place, bring_to_an_end

    place = Place(options.deployment, options.environment, options.output, options.journal)
    return bring_to_an_end(place, "the supervisor").exit_code


def _wait(parent: Parent, journal: Path, patience: float) -> None:
    """Return once `parent` has ended. One that owes a rollback and has been silent for `patience` is ended."""
    while not parent.ended(_LOOK):
        if _silent_for(journal) > patience:
            parent.signal(signal.SIGTERM)  # it still may do it itself
            if parent.ended(patience) or not _silent_for(journal):
                continue
            parent.signal(signal.SIGKILL)


def _silent_for(journal: Path) -> float:
    """Seconds since the journal's last line, if a trigger stands in it that is not settled; else 0."""
    entries = read(journal)
    due = any(entry.event == "failed" and entry.fields.get("trigger") for entry in entries)
    if not due or any(entry.event == "settled" for entry in entries):
        return 0
    return max((now() - entries[-1].at).total_seconds(), 0)


def _unfinished(journal: Path) -> bool:
    """Whether the run was killed after everything was settled, but before its report was written."""
    try:
        return '"finished": null' in (journal.parent / "verdict.json").read_text(encoding="utf-8")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())

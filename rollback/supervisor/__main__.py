"""The supervisor: a process of its own session that outlives pytest, and brings to its end what pytest left undone.

It waits until pytest has ended, in whatever way (SIGKILL, `os._exit`, a segmentation fault), then reads the journal.
Settled: there is nothing to do, and nothing is done. Everything heavy is imported after that question. Only where a
rollback is due is pytest ended: when it hangs instead of doing it (a thread may wait for ever), and when its whole
process stands still (Ctrl-Z). One that stands still and owes nothing is left alone.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rollback.interrupts import shut_out_signals
from rollback.supervisor.heartbeat import LOOK_EVERY, Silence
from verification.output import run_unblocked
from verification.records.journal import JournalView
from verification.records.process import ParentProcess
from verification.records.unfinished import unfinished_verdict
from verification.redaction import redact

_STANDS_STILL = 20.0  # seconds without a heartbeat: no step of a rollback can be at work meanwhile


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait for the end of the parent, and act if it left something undone. Exit codes as `python -m rollback`."""
    parser = argparse.ArgumentParser(prog="python -m rollback.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, required=True, metavar="PID")
    parser.add_argument("--env", dest="environment", required=True, metavar="NAME")
    parser.add_argument("--patience", type=float, required=True, metavar="SECONDS")
    for option in ("--journal", "--deployment", "--output"):
        parser.add_argument(option, type=Path, required=True, metavar="PATH")
    options = parser.parse_args(arguments)
    shut_out_signals()
    _wait(ParentProcess(options.parent), options.journal, options.patience)
    # It may have been killed after everything was settled, but before its report was written.
    if JournalView.read(options.journal).is_settled and not unfinished_verdict(options.journal.parent):
        return 0
    from rollback.supervisor.resume import Resumption, resume_run

    request = Resumption(options.deployment, options.environment, options.output, "the supervisor")
    resumed = resume_run(request, options.journal)
    if resumed.acted:
        with suppress(OSError):  # whoever read it may have gone
            print(redact(resumed.text), file=sys.stderr, flush=True)
    return resumed.exit_code


def _wait(parent: ParentProcess, journal: Path, patience: float) -> None:
    """Return once `parent` has ended. One that owes a rollback and gets nowhere for `patience` seconds is ended."""
    silence, asked = Silence(journal), False
    while not parent.has_ended(LOOK_EVERY):
        if not silence.look():
            continue
        stands_still = silence.without_heartbeat > _STANDS_STILL
        if stands_still or (asked and silence.without_line > patience):
            parent.signal(signal.SIGKILL)
        elif silence.without_line > patience:
            parent.signal(signal.SIGTERM)  # it still may do it itself
            asked = True
            silence.restart()


if __name__ == "__main__":
    run_unblocked(main)

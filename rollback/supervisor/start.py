"""Start the supervisor of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rollback.supervisor.heartbeat import start_heartbeat

SUPERVISED = "ROLLBACK_SUPERVISED"  # the token of a run that is looked after already
_ROOT = Path(__file__).parents[2]


def supervision_token() -> str:
    """What this run was given by the supervisor that started it; empty for a run that nobody looks after."""
    return os.environ.get(SUPERVISED, "")


class SupervisorProcess:
    """One run's supervisor."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None  # held, as it shall outlive us

    def start(self, journal: Path, deployment: Path, environment: str, output: Path, patience: float) -> str:
        """Start it, unless this run is already looked after. What went wrong, or nothing. Never raises.

        `patience` is how many seconds a rollback that is due may go without a new line in the journal.
        """
        if supervision_token() or self._process is not None:
            return ""
        command = [sys.executable, "-m", "rollback.supervisor", "--parent", str(os.getpid()), "--env", environment]
        command += ["--patience", f"{patience:g}"]
        places = {"--journal": journal, "--deployment": deployment, "--output": output}
        for option, path in places.items():
            command += [option, str(path.absolute())]
        try:
            self._process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            return f"no supervisor could be started ({error.strerror}): if this run is killed, nobody takes over"
        start_heartbeat(journal.absolute())
        return ""

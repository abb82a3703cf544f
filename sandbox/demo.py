"""`python -m sandbox.demo`: a whole story on this machine, each step a command that a user would type.

A good release passes its gates, is deployed, watched and followed up. The next one breaks while users are on it, and is
rolled back; its phases become one ticket. Both are in the deployment log.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_RUN = ("pytest", "--env", "sandbox")
_REPORTS = ("python", "-m", "reports")
_USERS_RPM = "600"
_WORLD = "SANDBOX"  # the variable by which a run finds a sandbox that is there already


class WentOtherwiseError(Exception):
    """A step ended in another way than the story has it."""


def main() -> int:
    """Exit codes: 0 when all went as the story has it, 1 when not."""
    output = Path("reports/output")
    ticket = output / "ticket.html"
    try:
        _play("A good release: its gates, the deployment, smoke tests, the watch, the follow-up.", _RUN)
        with _sandbox() as world:
            _play("The gates of a release that is not as good as it looks.", (*_RUN, "-m", "pre"), world)
            gates = _latest(output)
            bad = (*_RUN, "-m", "smoke or monitor", "--fault", "error-rate@5s")
            _play("It is deployed, and one request in five begins to fail: it is rolled back.", bad, world, code=1)
        joined = (*_REPORTS, "join", gates, _latest(output), "--output", str(ticket))
        _play("Its phases as one ticket.", joined)
        _play("All deployments so far, against the checklist's targets.", (*_REPORTS, "metrics", "-e", "sandbox"))
    except WentOtherwiseError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    print(f"\nThe ticket, to open in a browser: {ticket}")
    return 0


def _latest(output: Path) -> str:
    return os.path.relpath((output / "latest").resolve())


def _play(words: str, typed: Sequence[str], world: str = "", *, code: int = 0) -> None:
    """Run what somebody types, in the sandbox at `world` or in one of its own; `code` is how it must end."""
    print(f"\n\n=== {words}\n$ {shlex.join(typed)}\n", flush=True)
    program, *rest = typed
    command = [sys.executable, *rest] if program == "python" else [sys.executable, "-m", *typed]
    others = {name: value for name, value in os.environ.items() if name != _WORLD}
    ended = subprocess.run(command, env={**others, _WORLD: world} if world else others, check=False).returncode
    if ended != code:
        raise WentOtherwiseError(f"That went otherwise: exit code {ended}, expected {code}.")


@contextmanager
def _sandbox() -> Iterator[str]:
    """A sandbox with users; the address of its operator API."""
    command = [sys.executable, "-m", "sandbox", "--users-rpm", _USERS_RPM, "--with-parent", str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["operator"]
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())

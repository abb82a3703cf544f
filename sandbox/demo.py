"""`python -m sandbox.demo`: a whole story in one sandbox, each step a command that a user would type.

A good release passes its gates, is deployed, watched and followed up. The next one breaks while its users are on it, and
is rolled back; its phases become one ticket. Both are in the deployment log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_USERS_RPM = "600"
_WORLD = "SANDBOX"  # the variable by which a run finds a sandbox that is there already


@dataclass(frozen=True, slots=True)
class Step:
    """What happens now, the command, and the exit code that belongs to it."""

    words: str
    command: tuple[str, ...]
    code: int = 0


class WentOtherwiseError(Exception):
    """A step ended in another way than the story has it."""


def main() -> int:
    """Exit codes: 0 when all went as the story has it, 1 when not."""
    with tempfile.TemporaryDirectory() as folder, _sandbox() as operator:
        output = Path("reports/output")
        variables = {**os.environ, _WORLD: operator}
        try:
            _play(Step("A good release, from its gates to the follow-up.", ("pytest", "--env", "sandbox")), variables)
            _play(Step("The gates of the next release.", ("pytest", "-m", "pre", "--env", "sandbox")), variables)
            gates = (output / "latest").resolve()
            _play(
                Step(
                    "It is deployed, and five seconds later one request in five fails: it is rolled back.",
                    ("pytest", "-m", "smoke or monitor", "--env", "sandbox", "--fault", "error-rate@5s"),
                    code=1,
                ),
                variables,
            )
            run = (output / "latest").resolve()
            ticket = str(output / "ticket.html")
            runs = tuple(os.path.relpath(one) for one in (gates, run))
            _play(
                Step("Its phases as one ticket.", ("python", "-m", "reports", "join", *runs, "--output", ticket)),
                variables,
            )
            _play(
                Step("All deployments so far.", ("python", "-m", "reports", "metrics", "-e", "sandbox")),
                variables,
            )
        except WentOtherwiseError as problem:
            print(f"\n{problem}", file=sys.stderr)
            return 1
    print(f"\nThe ticket, to open in a browser: {ticket}")
    return 0


def _play(step: Step, variables: dict[str, str]) -> None:
    print(f"\n\n=== {step.words}\n$ {_typed(step.command)}\n", flush=True)
    program, *rest = step.command
    command = [sys.executable, *rest] if program == "python" else [sys.executable, "-m", *step.command]
    code = subprocess.run(command, env=variables, check=False).returncode
    if code != step.code:
        raise WentOtherwiseError(f"That went otherwise: exit code {code}, expected {step.code}.")


def _typed(command: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in command)


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

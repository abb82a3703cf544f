"""Whole runs, as a user starts them: `pytest -m smoke --env ...` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import web
from reports.verdict_file import VerdictFile
from tests import fork_server
from tests.conftest import ROOT, Address, program, ready
from verification.records.journal import JournalEntry, JournalView

WITHIN = 120.0
EVERYTHING = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
SHIPPED = (ROOT / "deployment.toml").read_text(encoding="utf-8")


def patient(text: str) -> str:
    """A deployment file that lets answers take their time: how fast a machine under load is, is not tested here."""
    slow, changed = re.subn(r'p95_latency = "\d+ms"', 'p95_latency = "1m"', text)
    assert changed, "the deployment file has no such limits"
    return slow


def without_the_code(text: str) -> str:
    """A deployment file without the service's own tests and checks: they ask no observer, and take long."""
    tables = r"^\[(environments\.sandbox\.)?code(\.\w+)?\].*\n([^\[\n].*\n|\n)*"
    left, changed = re.subn(tables, "", text, flags=re.MULTILINE)
    assert changed, "the deployment file has no such tables"
    return left


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    code: int
    said: str
    folder: Path

    @property
    def verdict(self) -> VerdictFile:
        return VerdictFile.model_validate_json((self.folder / "verdict.json").read_text(encoding="utf-8"))

    @property
    def report(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    @property
    def journal(self) -> list[JournalEntry]:
        return list(JournalView.read(self.folder / "journal.jsonl").entries)

    def of(self, criterion: str) -> str:
        """The verdict on one criterion."""
        return next(one.verdict for one in self.verdict.criteria if one.id == criterion)


class Runner:
    """Runs pytest in the project's folder, with a place of its own for what the run leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self._started: list[subprocess.Popen[str]] = []
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                (
                    "GOOGLE_",
                    "CLOUDSDK_",
                    "SMOKE_",
                    "PYTEST_",
                    "SANDBOX",
                    "PREVIOUS_REVISION",
                    "GITHUB_",
                    "SLACK_",
                    "PAGERDUTY_",
                )
            )
        }

    def start(
        self,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        out: int = subprocess.PIPE,
        err: int = subprocess.STDOUT,
    ) -> subprocess.Popen[str]:
        """`out` and `err` are where it writes to; what it writes elsewhere is not heard."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--output={self.output}", *arguments]
        process: subprocess.Popen[str] = fork_server.Popen(
            command,
            cwd=ROOT,
            env={**self._environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Ran:
        try:
            said = "".join(filter(None, process.communicate(timeout=WITHIN)))
        finally:
            _kill(process)
        return Ran(process.returncode, said, (self.output / "latest").resolve())

    def __call__(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Ran:
        return self.end(self.start(*arguments, variables=variables))

    def kill_all(self) -> None:
        """End what was started and not waited for."""
        for process in self._started:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    runner.kill_all()


@dataclass(frozen=True)
class World:
    """A sandbox, seen from outside."""

    document: Address

    def put_right(self) -> None:
        """No fault in force, and a healthy release that gets all of production's traffic."""
        self.break_()
        if [line["type"] for line in self._settled()["traffic"]] != [EVERYTHING]:
            lines = [{"type": EVERYTHING, "percent": 100}]
            answer = web.patch(self._service, params={"updateMask": "traffic"}, json={"traffic": lines})
            answer.raise_for_status()
            self._settled()
        self.release()

    @property
    def variables(self) -> dict[str, str]:
        return {"SANDBOX": str(self.document["operator"])}

    @property
    def url(self) -> str:
        return str(self.document["environments"]["production"]["url"])

    def release(self, *faults: str) -> dict[str, str]:
        answer = web.post(
            f"{self.document['operator']}/release", json={"environment": "production", "faults": list(faults)}
        )
        note: dict[str, str] = answer.raise_for_status().json()
        return note

    def pin(self, revision: str) -> None:
        """Let production's traffic follow deployments no more: `revision` gets all of it."""
        lines = [{"type": REVISION, "revision": revision, "percent": 100}]
        web.patch(self._service, params={"updateMask": "traffic"}, json={"traffic": lines}).raise_for_status()
        self._settled()

    def tag(self, revision: str, *tags: str) -> None:
        """Have `revision` answer under these tags too; the traffic follows the latest deployment."""
        lines = [{"type": REVISION, "revision": revision, "percent": 0, "tag": tag} for tag in tags]
        everything = {"type": EVERYTHING, "percent": 100}
        answer = web.patch(self._service, params={"updateMask": "traffic"}, json={"traffic": [everything, *lines]})
        answer.raise_for_status()
        self._settled()

    def break_(self, *faults: str) -> None:
        web.put(f"{self.document['operator']}/faults", json={"faults": list(faults)}).raise_for_status()

    def note(self) -> dict[str, str]:
        """The latest deployment: previous and current revision."""
        note: dict[str, str] = web.get(str(self.document["operator"])).json()["environments"]["production"][
            "deployment"
        ]
        return note

    def split(self, shares: dict[str, int]) -> None:
        """Split production's traffic: revision -> percent."""
        lines = [{"type": REVISION, "revision": name, "percent": percent} for name, percent in shares.items()]
        web.patch(self._service, params={"updateMask": "traffic"}, json={"traffic": lines}).raise_for_status()
        self._settled()

    def slack(self, channel: str) -> list[dict[str, str]]:
        """The messages of a channel, oldest first."""
        page = web.get(f"{self.document['operator']}/slack", headers={"Accept": "application/json"})
        channels = {one["name"]: one["messages"] for one in page.raise_for_status().json()["channels"]}
        messages: list[dict[str, str]] = channels[channel]
        return messages

    def requests(self) -> int:
        """How many requests have reached production."""
        answer = web.get(f"{self.document['operator']}/served", params={"environment": "production"})
        counts: dict[str, dict[str, int]] = answer.raise_for_status().json()["counts"]
        return sum(number for revision in counts.values() for number in revision.values())

    def answers(self, revision: str, status: int) -> int:
        """How often this revision has answered so."""
        answer = web.get(f"{self.document['operator']}/served", params={"environment": "production"})
        counts: dict[str, dict[str, int]] = answer.raise_for_status().json()["counts"]
        return counts.get(revision, {}).get(str(status), 0)

    def answering(self, questions: int = 20) -> set[str]:
        """The revisions that answer a client of the ingress."""
        with web.Client(base_url=self.url, timeout=10) as client:
            return {str(client.get("/health/deep").json().get("revision")) for _ in range(questions)}

    @property
    def _service(self) -> str:
        there = self.document
        path = f"projects/{there['project']}/locations/{there['region']}/services"
        return f"{there['cloud_run']['rest']}/v2/{path}/{there['environments']['production']['service']}"

    def _settled(self) -> dict[str, Any]:
        seen: list[dict[str, Any]] = []

        def settled() -> bool:
            seen.append(web.get(self._service).raise_for_status().json())
            return not seen[-1].get("reconciling")

        until(settled, "Cloud Run at rest")
        return seen[-1]


@pytest.fixture(scope="session")
def standing() -> Iterator[World]:
    """One sandbox for all runs that are not particular about what happened in it before."""
    with program() as process:
        yield World(ready(process))


@pytest.fixture
def world(standing: World) -> World:
    """The shared sandbox, put right: its production is healthy and follows deployments."""
    standing.put_right()
    return standing


@pytest.fixture
def new_world() -> Iterator[World]:
    """A sandbox of one test's own, in which nothing has been deployed since it began."""
    with program() as process:
        yield World(ready(process))


@pytest.fixture
def busy_world() -> Iterator[World]:
    """The same with some users, for what is judged by their requests."""
    with program("--users-rpm", "60") as process:
        yield World(ready(process))


@pytest.fixture
def production(world: World, tmp_path: Path) -> Callable[..., Path]:
    """Writes a deployment.toml whose `production` is the sandbox's, reached as a real one is: by its addresses."""

    def write(*changes: tuple[str, str], more: str = "") -> Path:
        run = f"http://{world.document['cloud_run']['rest'].partition('://')[2]}"
        text = SHIPPED.replace("https://api.bayit.plus", world.url)
        text = text.replace(
            'service = "bayit-plus-backend"\n',
            f'service = "bayit-plus-backend"\nproject = "{world.document["project"]}"\nendpoint = "{run}"\n'
            f'monitoring = "{world.document["monitoring"]}"\nlogging = "{world.document["logging"]}"\n',
        )
        for patient, quick in (
            ('retry_after = "30s"', 'retry_after = "1s"'),
            ('evidence_grace = "5s"', 'evidence_grace = "1s"'),
            ('metrics_within = "1m"', 'metrics_within = "0s"'),  # there are no users to be seen
        ):
            assert patient in text
            text = text.replace(patient, quick)
        for old, new in changes:
            assert old in text, f"deployment.toml has no {old!r}"
            text = text.replace(old, new)
        file = tmp_path / "deployment.toml"
        file.write_text(text + textwrap.dedent(more), encoding="utf-8")
        return file

    return write


@pytest.fixture
def account(world: World) -> dict[str, str]:
    """The smoke account of the sandbox, as the environment variables of a real one."""
    user = world.document["smoke_user"]
    return {
        "SMOKE_USER_EMAIL": user["email"],
        "SMOKE_USER_PASSWORD": user["password"],
        "GOOGLE_CLOUD_PROJECT": "somewhere",
    }


@pytest.fixture
def criteria(tmp_path: Path) -> Callable[[str], str]:
    """A team's own criteria in a folder; answers the lines for deployment.toml that add it."""

    def write(source: str) -> str:
        folder = tmp_path / "team"
        folder.mkdir()
        (folder / "test_team.py").write_text("import pytest\n" + textwrap.dedent(source), encoding="utf-8")
        return '\n[criteria]\npaths = ["team"]\n'

    return write


def until(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    """Wait for `condition`, with a deadline."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not seen within {within:g} s: {what}"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """`latest` of the project itself is a user's: no test may touch it."""
    mine = ROOT / "reports" / "output"
    before = sorted(mine.iterdir()) if mine.exists() else []
    yield
    assert (sorted(mine.iterdir()) if mine.exists() else []) == before

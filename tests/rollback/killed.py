"""A run of the stage's environment that was killed, and what its journal knew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import web
from rollback.__main__ import main
from rollback.supervisor.resume import Resumed, Resumption, resume_run
from tests.rollback.stage import ROOT, Stage
from verification.records.journal import Journal, JournalView
from verification.settings.service import CloudRunSettings

SHIPPED = ROOT / "deployment.toml"

SERVICE = CloudRunSettings(service="backend", region="us-east1", project="project")


class Killed:
    """A run of the stage's environment whose process has ended."""

    def __init__(self, stage: Stage, folder: Path, name: str = "20260101T000000Z-sandbox-smoke") -> None:
        self.stage = stage
        self.output = folder / "output"
        self.folder = self.output / name
        self.journal = Journal(self.folder / "journal.jsonl")
        self.stage.history = type(stage.history)(self.output / "serving.jsonl")

    def begun(self, *, dead: bool = True, phases: tuple[str, ...] = ("smoke",)) -> None:
        self.journal.begun(environment="sandbox", phases=phases, allowed=True, dry_run=False)
        if dead:
            text = self.journal.path.read_text(encoding="utf-8")
            self.journal.path.write_text(
                text.replace(f'"pid": {os.getpid()}', f'"pid": {ended_pid()}'), encoding="utf-8"
            )

    def armed(self, previous: str) -> None:
        self.journal.armed(self.stage.cloud_run.settings, self.stage.plan(previous))

    def end(self, deployment: Path = SHIPPED) -> Resumed:
        return resume_run(Resumption(deployment, "sandbox", self.output, "the test"), self.journal.path)

    def unfinished(self) -> None:
        """Have the files of a run that could not write its report."""
        started = '"environment": "sandbox", "phases": ["smoke"], "started": "2026-01-01T00:00:00+00:00"'
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "verdict.json").write_text(f'{{{started}, "finished": null}}', encoding="utf-8")
        (self.folder / "report.html").write_text("<h1>Unfinished</h1>", encoding="utf-8")

    def command(self, *arguments: str) -> int:
        return main([*arguments, "-e", "sandbox", "--output", str(self.output)])

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in JournalView.read(self.journal.path).entries]

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text(encoding="utf-8")


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


@pytest.fixture
def killed(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killed:
    monkeypatch.setenv("SANDBOX", stage.sandbox.addresses.operator)
    return Killed(stage, tmp_path)


def incidents(stage: Stage) -> int:
    """How many messages #incidents has."""
    channels = web.get(f"{stage.sandbox.addresses.operator}/slack", headers={"Accept": "application/json"}).json()
    return sum(len(one["messages"]) for one in channels["channels"] if one["name"] == "incidents")

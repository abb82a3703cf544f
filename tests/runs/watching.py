"""A sandbox with many users, and watches of it that take a few seconds only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import program, ready
from tests.runs.conftest import SHIPPED, Runner, World, patient

SECONDS = 8


@pytest.fixture(scope="module")
def crowd() -> Iterator[World]:
    with program("--users-rpm", "600") as process:
        yield World(ready(process))


@pytest.fixture
def world(crowd: World) -> World:
    """A sandbox with many users, put right: its production is healthy and follows deployments."""
    crowd.put_right()
    return crowd


@pytest.fixture
def watching(run: Runner, world: World) -> Watching:
    return Watching(run, world)


class Watching:
    """Watches for a few seconds only."""

    def __init__(self, run: Runner, world: World) -> None:
        self.run, self.world = run, world
        text = SHIPPED.replace(
            'watch = "20s"\nextended_to = "30s"', f'watch = "{SECONDS}s"\nextended_to = "{SECONDS}s"'
        )
        text = text.replace("minimum_requests = 100", "minimum_requests = 20")
        for limit in ("mongodb_latency", "openai_latency", "elevenlabs_latency", "pinecone_latency"):
            text = text.replace(f'{limit} = "', f'{limit} = "1h ')
        assert f'watch = "{SECONDS}s"' in text
        self.file = run.folder / "deployment.toml"
        self.file.write_text(text, encoding="utf-8")
        self.patient = run.folder / "patient.toml"
        self.patient.write_text(patient(text), encoding="utf-8")

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("-m", "monitor", "--env", "sandbox", f"--deployment={self.patient}")

    @property
    def impatient(self) -> tuple[str, ...]:
        return (*self.arguments[:-1], f"--deployment={self.file}")

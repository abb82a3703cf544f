"""How long users get bad answers once the suite has seen one: from there until the old revision answers everything."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
from pydantic import BaseModel

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import pytest, run, sandbox
from verification.local_sandbox.addresses import Addresses

_LIMIT = 3.0
_FAULTS = ("login-broken", "unhealthy", "mongodb-down")
_PAUSE = 0.02
_TIMEOUT = 5.0
_SUITE = "deployment-verification/"


class _Request(BaseModel):
    """One request as the ingress remembers it."""

    time: datetime
    status: int
    path: str
    revision: str
    user_agent: str


class _Served(BaseModel):
    requests: list[_Request]


class _Deep(BaseModel):
    revision: str = ""


class _Rollback(BaseModel):
    outcome: str


class _VerdictFile(BaseModel):
    rollback: _Rollback


@dataclass(frozen=True, slots=True)
class _Sample:
    """One answer that our client got, at `at` (seconds since the epoch), and whether it was the old revision's."""

    at: float
    good: bool


@dataclass
class _Seen:
    """What our client and the ingress saw."""

    samples: list[_Sample] = field(default_factory=list)
    suite_failures: list[float] = field(default_factory=list)


def measure(*, quick: bool) -> list[Figure]:
    """Seconds from the suite's first failing answer until all answers are the old revision's, for each fault."""
    return [_recovery(fault) for fault in (_FAULTS[:1] if quick else _FAULTS)]


def _recovery(fault: str) -> Figure:
    # A sandbox each: after a rollback the traffic is pinned, and the next release would get none of it.
    with tempfile.TemporaryDirectory() as folder:
        announced, output = Path(folder) / "sandbox.json", Path(folder) / "output"
        with sandbox("--announce", str(announced)) as started, _watching(started.addresses) as seen:
            arguments = ("-m", "smoke", "--env", "sandbox", "--fault", fault, f"--output={output}")
            run(pytest(*arguments), variables={"SANDBOX": str(announced)}).must_be(1)
        verdict = _VerdictFile.model_validate_json((output / "latest" / "verdict.json").read_bytes())
    if verdict.rollback.outcome != "done":
        raise BenchmarkError(f"{fault}: the rollback is {verdict.rollback.outcome!r}, not done")
    failed, recovered = _bounds(fault, seen)
    note = (
        f"first failing answer of the suite to all answers from the old revision; {len(seen.samples)} answers watched"
    )
    return Figure(f"recovery from {fault}", recovered - failed, _LIMIT, "s", note)


def _bounds(fault: str, seen: _Seen) -> tuple[float, float]:
    """When the suite got its first failing answer, and when our client got the first of the good ones that stayed."""
    samples = sorted(seen.samples, key=lambda one: one.at)
    last_bad = max((index for index, one in enumerate(samples) if not one.good), default=None)
    if last_bad is None or not seen.suite_failures:
        raise BenchmarkError(f"{fault}: no bad answer was seen, so there is nothing to recover from")
    if last_bad + 1 == len(samples):
        raise BenchmarkError(f"{fault}: the last answer was still not the old revision's")
    return min(seen.suite_failures), samples[last_bad + 1].at


@contextmanager
def _watching(addresses: Addresses) -> Iterator[_Seen]:
    """Ask like users do, all the while. What the ingress remembers is read every second: it forgets old requests."""
    production = addresses.environments["production"]
    old, seen, ended = production.deployment.current, _Seen(), threading.Event()
    user = addresses.smoke_user
    problems: list[Exception] = []

    def deep(client: httpx.Client) -> None:
        answer = client.get(f"{production.url}/health/deep")
        good = answer.is_success and _Deep.model_validate_json(answer.content).revision == old
        seen.samples.append(_Sample(time.time(), good))

    def login(client: httpx.Client) -> None:
        answer = client.post(
            f"{production.url}/api/v1/auth/login", json={"email": user.email, "password": user.password}
        )
        seen.samples.append(_Sample(time.time(), answer.is_success))

    def served(client: httpx.Client) -> None:
        answer = client.get(f"{addresses.operator}/served", params={"environment": "production"}).raise_for_status()
        requests = _Served.model_validate_json(answer.content).requests
        failing = [one for one in requests if one.user_agent.startswith(_SUITE) and one.status >= 500]
        seen.suite_failures.extend(one.time.timestamp() for one in failing)

    def repeat(ask: Callable[[httpx.Client], None], pause: float) -> None:
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
                while not ended.wait(pause):
                    ask(client)
                ask(client)  # so that the end is seen too
        except Exception as error:  # handed over: a thread's exception would be lost
            problems.append(error)

    asked = ((deep, _PAUSE), (login, _PAUSE), (served, 1.0))
    threads = [threading.Thread(target=repeat, args=one) for one in asked]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if problems:
        raise BenchmarkError(f"our own client broke: {problems[0]}") from problems[0]

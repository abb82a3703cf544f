"""A fault in the sandbox's production, a run that rolls it back, and what users were answered all the while."""

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
from pydantic import BaseModel, ConfigDict

from benchmarks import web
from benchmarks.figure import BenchmarkError
from benchmarks.programs import run_phase, sandbox
from verification.local_sandbox.addresses import Addresses
from verification.records.run_record import RollbackOutcome, RunRecord

_PAUSE = 0.02
_TIMEOUT = 20.0


class ServedRequest(BaseModel):
    """One request as the ingress remembers it."""

    model_config = ConfigDict(frozen=True)

    time: datetime
    status: int
    revision: str
    user_agent: str


class _Served(BaseModel):
    requests: list[ServedRequest]


class _DeepHealthAnswer(BaseModel):
    revision: str = ""


@dataclass
class ObservedTraffic:
    """What users were answered: when (seconds since the epoch), and whether well, by the old revision.

    `served` is what the ingress remembers of all requests, also those of the suite.
    """

    answers: list[tuple[float, bool]] = field(default_factory=list)
    served: set[ServedRequest] = field(default_factory=set)

    def recovered_at(self) -> float:
        """When the first of the good answers came that stayed good. Raises BenchmarkError when none did."""
        answers = sorted(self.answers)
        last_bad = max((index for index, (_, good) in enumerate(answers) if not good), default=None)
        if last_bad is None:
            raise BenchmarkError("no bad answer was seen, so there is nothing to recover from")
        if last_bad + 1 == len(answers):
            raise BenchmarkError("the last answer was still not the old revision's")
        return answers[last_bad + 1][0]


def drill(phase: str, fault: str, *, login: bool = False, rpm: int = 0) -> tuple[RunRecord, ObservedTraffic]:
    """Run `phase` against a release with `fault`, which must end in a rollback, in a sandbox with `rpm` of its users.

    Our own user asks for the deep health, and with `login` for that too. Raises BenchmarkError.
    """
    # A sandbox each: after a rollback the traffic is pinned, and the next release would get none of it.
    users = ("--users-rpm", str(rpm)) if rpm else ()
    with (
        tempfile.TemporaryDirectory() as output,
        sandbox(*users) as started,
        _observing(started.addresses, login=login) as observed,
    ):
        variables = {"SANDBOX": started.addresses.operator}
        run = run_phase(phase, "sandbox", Path(output), "--fault", fault, variables=variables, codes=(1, 70))
    record = run.record
    if record.rollback.outcome is not RollbackOutcome.DONE:
        raise BenchmarkError(f"{fault}: the rollback is {record.rollback.outcome.value!r}, not done")
    return record, observed


@contextmanager
def _observing(addresses: Addresses, *, login: bool) -> Iterator[ObservedTraffic]:
    """Ask like users do, all the while. What the ingress remembers is read every second: it forgets old requests."""
    production, user = addresses.environments["production"], addresses.smoke_user
    observed, ended = ObservedTraffic(), threading.Event()
    problems: list[Exception] = []

    def ask_deep_health(client: httpx.Client) -> None:
        observed.answers.append((time.time(), _answers_well(client, production.url, production.deployment.current)))

    def log_in(client: httpx.Client) -> None:
        account = {"email": user.email, "password": user.password}
        answer = client.post(f"{production.url}/api/v1/auth/login", json=account)
        observed.answers.append((time.time(), answer.is_success))

    def read_served(client: httpx.Client) -> None:
        answer = client.get(f"{addresses.operator}/served", params={"environment": "production"}).raise_for_status()
        observed.served.update(_Served.model_validate_json(answer.content).requests)

    def repeat(ask: Callable[[httpx.Client], None], pause: float) -> None:
        try:
            with web.Client(timeout=_TIMEOUT) as client:
                while not ended.wait(pause):
                    ask(client)
                ask(client)  # so that the end is seen too
        except Exception as error:  # handed over: a thread's exception would be lost
            problems.append(error)

    asked = [(ask_deep_health, _PAUSE), (read_served, 1.0), *([(log_in, _PAUSE)] if login else [])]
    threads = [threading.Thread(target=repeat, args=question) for question in asked]
    for thread in threads:
        thread.start()
    try:
        yield observed
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if problems:
        raise BenchmarkError(f"our own client broke: {problems[0]}") from problems[0]


def _answers_well(client: httpx.Client, url: str, revision: str) -> bool:
    """Whether `revision` answers, and that it is healthy; a user whose connection breaks gets no answer."""
    try:
        answer = client.get(f"{url}/health/deep")
    except httpx.TransportError:
        return False
    return answer.is_success and _DeepHealthAnswer.model_validate_json(answer.content).revision == revision

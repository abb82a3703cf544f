"""Questions that were open while this process stood still: their answers tell nothing, and are asked for again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.hostile import Conversation, hostile
from tests.clients.service_questions import client
from verification.clients.service.standstill import Heartbeat, tolerated
from verification.errors import ServiceError

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one

ROOT = Path(__file__).parents[2]
TIMEOUT = 0.5

# Stands in for a run: asks once for each line that it reads, and says what became of it.
ASKING = f"""
import sys
from verification.clients.service.client import Service
from verification.settings.service import Smoke, Target
service = Service(Target(url=sys.argv[1]), Smoke.model_validate({{"timeout": "{TIMEOUT * 1000:g}ms"}}))
ask = {{
    "GET": lambda: service.get("/health"),
    "POST": lambda: service.post("/login", {{}}),
    "POST once": lambda: service.post("/login", {{}}, repeatable=False),
}}[sys.argv[2]]
answer = ask()
print(answer.code, type(answer.problem).__name__, answer.seconds < {TIMEOUT}, answer.note or answer.problem, sep="|")
service.close()
"""


@dataclass
class Asking:
    """A process that asks, and what it said in the end."""

    said: str
    requests: int

    @property
    def outcome(self) -> list[str]:
        return self.said.strip().split("|")


def stopped_while_asking(question: str, stops: Callable[[int], float], late: str = "") -> Asking:
    """A process that asks `question`, and is stopped for `stops(number)` seconds by each request; 0: it is answered.

    `late`: the status with which it is answered after a stop; without one it is not.
    """

    def script(one: Conversation) -> None:
        if seconds := stops(one.number):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(process.pid, signal.SIGCONT)
            if not late:
                one.hold()
        one.answer(b"{}", late or "200 OK")

    with hostile(script) as server:
        command = [sys.executable, "-c", ASKING, server.url, question]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            said, errors = process.communicate(timeout=40)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    return Asking(said, len(server.requests))


@pytest.mark.parametrize("question", ["GET", "POST"])
def test_a_process_that_was_stopped_asks_again_and_blames_nobody(question: str) -> None:
    """As a paused machine does: the time of the question was over before anybody could look for its answer."""
    asking = stopped_while_asking(question, lambda number: 4 * TIMEOUT if number == 1 else 0.0)
    code, problem, prompt, note = asking.outcome
    assert (code, problem, prompt) == ("200", "NoneType", "True")
    assert "stood still" in note
    assert asking.requests == 2


def test_a_process_that_is_stopped_again_and_again_has_learned_nothing() -> None:
    asking = stopped_while_asking("GET", lambda _: 2 * TIMEOUT)
    assert asking.outcome[:2] == ["None", "ObserverError"]
    assert "stood still" in asking.outcome[3]
    assert asking.requests == 4


@pytest.mark.parametrize(
    ("late", "outcome"),
    [
        ("", ["None", "ObserverError"]),
        ("408 Request Timeout", ["None", "ObserverError"]),
        ("504 Gateway Timeout", ["None", "ObserverError"]),
        ("401 Unauthorized", ["401", "NoneType"]),
    ],
    ids=["no-answer", "we-were-late", "given-up", "an-answer"],
)
def test_a_question_that_may_not_be_repeated_is_waited_for_instead(late: str, outcome: list[str]) -> None:
    """A wrong password: a few of them lock the account. That it is refused is no matter of time."""
    asking = stopped_while_asking("POST once", lambda _: 2 * TIMEOUT, late)
    assert asking.outcome[:2] == outcome
    assert asking.requests == 1


def test_a_stop_between_two_questions_spoils_neither() -> None:
    asking = stopped_while_asking("GET", lambda _: 0.0)
    assert asking.outcome == ["200", "NoneType", "True", "None"]
    assert asking.requests == 1


def test_a_loop_that_is_starved_by_this_process_itself_is_noticed() -> None:
    """Here: by code that keeps the interpreter to itself, as a large extension may."""

    def script(one: Conversation) -> None:
        if one.number == 1:
            ctypes.PyDLL(None).usleep(int(2 * TIMEOUT * 1e6))
            one.hold()
        one.answer(b"{}")

    with hostile(script) as server, client(server.url) as service:
        answer = service.get("/health")
        assert len(server.requests) == 2
    answer.status.must_be(200)
    assert "stood still" in answer.note


def test_a_service_that_is_silent_while_this_process_runs_is_still_to_blame() -> None:
    with hostile(lambda one: one.hold()) as server, client(server.url) as service:
        answer = service.get("/health")
        assert len(server.requests) == 1
    assert isinstance(answer.problem, ServiceError)


class Clocks:
    """A loop's clocks, in the hands of a test."""

    def __init__(self) -> None:
        self.monotonic = self.wall = 1000.0
        self.worked = 0.0

    def run(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(lambda: self.monotonic, lambda: self.wall, lambda: self.worked)


def test_a_machine_that_was_suspended_is_known_by_its_wall_clock() -> None:
    """Its monotonic clock stood still as well."""
    clocks = Clocks()
    heart = clocks.heartbeat()
    clocks.wall += 12
    assert heart.stood_still() == pytest.approx(12, abs=0.2)
    heart.beat()
    assert heart.stood_still() == pytest.approx(12, abs=0.2)


def test_a_standstill_counts_once_whether_its_beat_came_first_or_not() -> None:
    """On waking up, the end of a question's time may be seen before the heartbeat's turn comes."""
    clocks = Clocks()
    heart = clocks.heartbeat()
    clocks.run(3)
    before_the_beat = heart.stood_still()
    heart.beat()
    assert heart.stood_still() == before_the_beat == pytest.approx(3, abs=0.2)
    clocks.run(0.05)
    heart.beat()
    clocks.run(2)
    assert heart.stood_still() - before_the_beat == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("worked", [4.95, 1.5], ids=["alone", "beside-others"])
def test_a_loop_that_works_does_not_stand_still(worked: float) -> None:
    """Else a service could make its bad answer a matter of our machine, by one that is laborious to read."""
    clocks = Clocks()
    heart = clocks.heartbeat()
    clocks.run(5)
    clocks.worked += worked
    heart.beat()
    assert heart.stood_still() == 0


def test_a_clock_that_is_put_right_backwards_and_a_beat_that_is_a_little_late_are_no_standstill() -> None:
    clocks = Clocks()
    heart = clocks.heartbeat()
    for _ in range(100):
        clocks.run(0.15)
        clocks.wall -= 1
        heart.beat()
    assert heart.stood_still() == 0


@pytest.mark.parametrize(("timeout", "seconds"), [(300, 1), (10, 1), (2, 0.4), (0.5, 0.25)])
def test_the_standstill_that_a_question_survives_leaves_the_service_most_of_its_time(
    timeout: float, seconds: float
) -> None:
    assert tolerated(timeout) == pytest.approx(seconds)

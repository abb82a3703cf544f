"""How long users meet a fault that begins in a watch, in the compressed sandbox; and what a watch itself costs."""

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

from benchmarks import watch_cost
from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import ROOT, pytest, run, sandbox
from verification.judge.proportion import Block, ProportionJudge, ProportionRule
from verification.local_sandbox.addresses import Addresses
from verification.settings.loading import load
from verification.settings.monitor import Monitor
from verification.watch.criteria.traffic import LOG
from verification.watch.samples import Sample, SampleFile

_FAULTS = ("error-rate", "unhealthy", "latency")
_AFTER = 3.0  # seconds from the revision's first request to its fault
_USERS_RPM = 600
_SLOW_SHARE = 0.05
_PAUSE = 0.02
_TIMEOUT = 20.0


class _Request(BaseModel):
    """One request as the ingress remembers it."""

    time: datetime
    revision: str


class _Served(BaseModel):
    requests: list[_Request]


class _Deep(BaseModel):
    revision: str = ""


class _Rollback(BaseModel):
    outcome: str
    triggers: list[str]


class _VerdictFile(BaseModel):
    revision: str
    rollback: _Rollback


@dataclass
class _Seen:
    """Seconds since the epoch: answers to a client of the ingress, by the revision; each revision's first request."""

    answers: list[tuple[float, str]] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)


def measure(*, quick: bool) -> list[Figure]:
    """For each fault, from its beginning until the old revision answers everything; beside it, the literal rule's."""
    drills = [figure for fault in (_FAULTS[:1] if quick else _FAULTS) for figure in _drill(fault)]
    return [*drills, *watch_cost.measure()]


def _drill(fault: str) -> list[Figure]:
    # A sandbox each: after a rollback the traffic is pinned, and the next release would get none of it.
    with tempfile.TemporaryDirectory() as folder:
        announced, output = Path(folder) / "sandbox.json", Path(folder) / "output"
        with (
            sandbox("--announce", str(announced), "--users-rpm", str(_USERS_RPM)) as started,
            _watching(started.addresses) as seen,
        ):
            planted = f"{fault}@{_AFTER:g}s"
            arguments = ("-m", "monitor", "--env", "sandbox", "--fault", planted, f"--output={output}")
            run(pytest(*arguments), variables={"SANDBOX": str(announced)}).must_be(1, 70)
        verdict = _VerdictFile.model_validate_json((output / "latest" / "verdict.json").read_bytes())
        samples = SampleFile(output / "latest" / "samples.csv").read()
    if verdict.rollback.outcome != "done":
        raise BenchmarkError(f"{fault}: the rollback is {verdict.rollback.outcome!r}, not done")
    if verdict.revision not in seen.first:
        raise BenchmarkError(f"{fault}: nobody saw the revision {verdict.revision}")
    begun = seen.first[verdict.revision] + _AFTER
    back = _back(fault, seen.answers, verdict.revision)
    by = ", ".join(verdict.rollback.triggers)
    how = f"from the fault to all answers from the old revision, by {by}; {len(seen.answers)} answers watched"
    return [Figure(f"{fault} in a watch", back - begun, None, "s", how), _literal(fault, samples, begun)]


def _back(fault: str, answers: list[tuple[float, str]], revision: str) -> float:
    """When the old revision answered, never to stop again."""
    ordered = sorted(answers)
    last = max((index for index, (_, answered) in enumerate(ordered) if answered == revision), default=None)
    if last is None or last + 1 == len(ordered):
        raise BenchmarkError(f"{fault}: the old revision was not seen to come back")
    # What failed without a name in between was the new revision's, too.
    return next((at for at, answered in ordered[last + 1 :] if answered), ordered[-1][0])


def _literal(fault: str, samples: list[Sample], begun: float) -> Figure:
    """When the literal rule would have decided on the same blocks, had nobody ended the watch before."""
    monitor = load(ROOT / "deployment.toml", "sandbox").settings.monitor
    assert monitor is not None
    blocks = [one for one in samples if one.stream == LOG and one.traffic]
    for errors in (True, False):
        for count in range(1, len(blocks) + 1):
            if _met(monitor, blocks[:count], errors=errors):
                decided = blocks[count - 1].at.timestamp() + monitor.block + monitor.log_delay
                name, how = f"{fault}, literal rule", "decided on the same samples; the rollback itself not counted"
                return Figure(name, decided - begun, None, "s", how)
    lasting = monitor.roll_back_at.lasting
    how = f"not met by then; at the earliest, were all samples after the fault bad ({lasting:g} s in a row)"
    return Figure(f"{fault}, literal rule", lasting + monitor.block + monitor.log_delay, None, "s", how)


def _met(monitor: Monitor, blocks: list[Sample], *, errors: bool) -> bool:
    rule = ProportionRule(
        noun="requests",
        limit=_SLOW_SHARE,
        roll_back_at=monitor.roll_back_at.error_rate if errors else _SLOW_SHARE,
        block_s=monitor.block,
        blocks=len(blocks),
        lasting_s=monitor.roll_back_at.lasting,
        burst_fail_s=len(blocks) * monitor.block,  # nothing but the literal rule
        burst_roll_back_s=len(blocks) * monitor.block,
    )
    judge = ProportionJudge.start(rule)
    for one in blocks:
        assert one.traffic is not None
        severe = one.traffic.errors if errors else one.traffic.very_slow
        judge = judge.after(Block(one.traffic.total, severe, severe, severe))
    return judge.so_far.rule == "literal"


def _answering(client: httpx.Client, url: str) -> str:
    """The revision that answers; empty where none says so. A user gets no answer then, either."""
    try:
        answer = client.get(f"{url}/health/deep")
    except httpx.TransportError:
        return ""
    named = answer.headers.get("content-type", "").startswith("application/json")
    return _Deep.model_validate_json(answer.content).revision if named else ""


@contextmanager
def _watching(addresses: Addresses) -> Iterator[_Seen]:
    """Ask like a user, all the while. What the ingress remembers is read every second: it forgets old requests."""
    production = addresses.environments["production"]
    seen, ended = _Seen(), threading.Event()
    problems: list[Exception] = []

    def deep(client: httpx.Client) -> None:
        revision = _answering(client, production.url)
        seen.answers.append((time.time(), revision))

    def served(client: httpx.Client) -> None:
        answer = client.get(f"{addresses.operator}/served", params={"environment": "production"}).raise_for_status()
        for one in _Served.model_validate_json(answer.content).requests:
            at = one.time.timestamp()
            seen.first[one.revision] = min(at, seen.first.get(one.revision, at))

    def repeat(ask: Callable[[httpx.Client], None], pause: float) -> None:
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
                while not ended.wait(pause):
                    ask(client)
                ask(client)  # so that the end is seen too
        except Exception as error:  # handed over: a thread's exception would be lost
            problems.append(error)

    threads = [threading.Thread(target=repeat, args=one) for one in ((deep, _PAUSE), (served, 1.0))]
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

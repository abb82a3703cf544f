"""Questions to the service itself: its health, the latencies of what it depends on, the flows of its users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from verification.checks import must_be_healthy
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.deadline import Stopwatch
from verification.errors import NotRevisionRelated, ServiceError, VerificationError
from verification.settings.service import DeepHealth, HealthQuestion
from verification.verdict import collecting
from verification.watch.criteria.gauges import DEPENDENCY
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.samples import Sample
from verification.watch.sources.source import Source

_GOOD, _BAD = 1.0, 0.0
Flow = Callable[[], None]
"""Goes through a flow once. Raises ServiceError when it is broken."""


class HealthSource(Source):
    """The basic health path: good is the answer that the settings expect."""

    streams = (HEALTH,)

    def __init__(self, service: Service, question: HealthQuestion, every: float) -> None:
        self.every = every
        self._service, self._question = service, question

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """Whether the path answers well now."""
        return [checked(HEALTH, at, self._put)]

    def _put(self) -> None:
        answer = self._service.get(self._question.path, retry_503=False)
        must_be_healthy(answer, self._question)


class DependencySource(Source):
    """What the deep health path says of each dependency's latency, in ms."""

    def __init__(self, service: Service, question: DeepHealth, names: Iterable[str], every: float) -> None:
        self.every = every
        self.streams = tuple(f"{DEPENDENCY}{name}" for name in names)
        self._service, self._question = service, question

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """One latency of each dependency, or why the answer has none."""
        answer = self._service.get(self._question.path, retry_503=False)
        return [self._latency(answer, stream, at) for stream in self.streams]

    def _latency(self, answer: Answer, stream: str, at: datetime) -> Sample:
        try:
            value = answer.value(f"services.{stream.removeprefix(DEPENDENCY)}.latency_ms")
        except VerificationError as problem:
            return Sample(stream, at, text=problem.cause, missing=True)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Sample(stream, at, float(value))
        return Sample(stream, at, text=f"{answer.question}: latency_ms is {value!r}"[:200], missing=True)


class FlowSource(Source):
    """The users' flows, gone through as users do; a stream for each, never pooled with what users really did."""

    def __init__(self, flows: Mapping[str, Flow], every: float) -> None:
        self.every = every
        self.streams = tuple(f"{FLOWS}{name}" for name in flows)
        self._flows = flows

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """Whether each flow works now."""
        # One after the other, a moment apart in time, so that each sample has a time of its own.
        return [
            checked(f"{FLOWS}{name}", at + timedelta(microseconds=number), flow)
            for number, (name, flow) in enumerate(self._flows.items())
        ]


def checked(stream: str, at: datetime, question: Callable[[], None]) -> Sample:
    """A sample that says whether `question` was answered well; missing where that was not the revision's doing."""
    asked = Stopwatch.start()
    try:
        with collecting():  # what it measures belongs to no criterion
            question()
    except VerificationError as problem:
        if isinstance(problem, ServiceError) and not isinstance(problem, NotRevisionRelated):
            return Sample(stream, at, _BAD, text=problem.cause)
        return Sample(stream, at, text=problem.cause, missing=True)
    return Sample(stream, at, _GOOD, took_ms=asked.milliseconds)

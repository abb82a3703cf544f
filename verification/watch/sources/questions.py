"""Questions to the service itself: its health, the latencies of what it depends on, the flows of its users.

Where somebody in front of Cloud Run answers 502 or the like in the service's name, the question is put once more at the
service's own address, if it has another: what is well there, the revision under watch did not do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from verification.checks import credentials, login_of, must_be_healthy, must_be_listed, must_be_logged_in
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.deadline import Stopwatch
from verification.errors import AnsweredForTheOrigin, NotAsked, NotRevisionRelated, ServiceError, VerificationError
from verification.settings.service import DeepHealth, Flows, HealthQuestion, ListFlow, LoginFlow
from verification.verdict import collecting
from verification.watch.criteria.gauges import DEPENDENCY
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.samples import Sample
from verification.watch.sources.source import Source

_GOOD, _BAD = 1.0, 0.0
_Check = Callable[[Service], None]


class AskedAgain(Source):
    """Questions that are put every `every` seconds, and after a bad answer every `soon`, until they are answered well.

    `soon` is no longer than `every`.
    """

    def __init__(self, every: float, soon: float) -> None:
        self._usual, self._soon = every, min(soon, every)
        self.every = every

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """An answer to each question."""
        samples = list(self._answers(at))
        bad = any(sample.value == _BAD for sample in samples if not sample.missing)
        self.every = self._soon if bad else self._usual
        return samples

    @abstractmethod
    def _answers(self, at: datetime) -> Iterable[Sample]:
        """One round: a sample of what each question was answered now."""


class HealthSource(AskedAgain):
    """The basic health path: good is the answer that the settings expect."""

    streams = (HEALTH,)

    def __init__(
        self, service: Service, question: HealthQuestion, every: float, soon: float, origin: Service | None = None
    ) -> None:
        super().__init__(every, soon)
        self._service, self._question, self._origin = service, question, origin

    def _answers(self, at: datetime) -> Iterable[Sample]:
        """Whether the path answers well now."""
        return [checked(HEALTH, at, self._put, self._service, self._origin)]

    def _put(self, service: Service) -> None:
        answer = service.get(self._question.path, retry_503=False)
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


class FlowSource(AskedAgain):
    """The users' flows, gone through as by a user who logs in anew each round; a stream for each.

    They are never pooled with what users really did.
    """

    def __init__(
        self,
        service: Service,
        flows: Flows,
        variables: Mapping[str, str],
        every: float,
        soon: float,
        origin: Service | None = None,
    ) -> None:
        super().__init__(every, soon)
        self._service, self._origin, self._variables = service, origin, variables
        self._token = ""
        self._checks: dict[str, _Check] = {}  # by stream; each raises ServiceError when its flow is broken
        if flows.login:
            self._checks[f"{FLOWS}login"] = partial(self._log_in, flows.login)
        for name in ("content_listing", "search"):
            if flow := getattr(flows, name):
                self._checks[f"{FLOWS}{name}"] = partial(self._list, flow)
        self.streams = tuple(self._checks)

    def _answers(self, at: datetime) -> Iterable[Sample]:
        """Whether each flow works now, the login first."""
        # One after the other, a moment apart in time, so that each sample has a time of its own.
        return [
            checked(stream, at + timedelta(microseconds=number), check, self._service, self._origin)
            for number, (stream, check) in enumerate(self._checks.items())
        ]

    def _log_in(self, flow: LoginFlow, service: Service) -> None:
        self._token = ""
        answer = service.post(flow.path, credentials(flow, self._variables), retry_503=False)
        login = login_of(answer, flow)
        must_be_logged_in(login)
        self._token = login.token

    def _list(self, flow: ListFlow, service: Service) -> None:
        if flow.signed_in and not self._token:
            raise NotAsked(f"{flow.path} needs a user who is logged in, and login gave no token")
        token = self._token if flow.signed_in else ""
        must_be_listed(service.get(flow.path, token=token, retry_503=False).listing(flow))


def checked(stream: str, at: datetime, check: _Check, service: Service, origin: Service | None) -> Sample:
    """A sample that says whether `service` passes `check`; missing where it was not the revision that did not.

    `origin` is the service at its own address, past who stands in front of it; None where no other is asked.
    """
    asked = Stopwatch.start()
    try:
        with collecting():  # what it measures belongs to no criterion
            check(service)
    except AnsweredForTheOrigin as problem:
        if origin and checked(stream, at, check, origin, None).value == _GOOD:
            return Sample(stream, at, text=f"{problem.cause}; at its own address it answers well", missing=True)
        return Sample(stream, at, _BAD, text=problem.cause)
    except VerificationError as problem:
        if isinstance(problem, ServiceError) and not isinstance(problem, NotRevisionRelated):
            return Sample(stream, at, _BAD, text=problem.cause)
        return Sample(stream, at, text=problem.cause, missing=True)
    return Sample(stream, at, _GOOD, took_ms=asked.milliseconds)

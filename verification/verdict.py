"""Measurements and verdicts: what was seen, against which limit, and what follows from it.

A probe answers with measurements; a criterion holds them against their limits:

    basic_health.status.must_be(200)
    certificate.days_left.must_be_more_than(limits.certificate_days_left)

Each such sentence records the measurement *with its limit* for the report, whether it holds or not. A measurement that
is bad raises `ServiceError` (the criterion fails); one that is missing raises what kept it from being made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import ClassVar

from pydantic import ConfigDict

from verification.deadline import now
from verification.errors import ServiceError, VerificationError
from verification.redaction import redact
from verification.series import Series

Value = bool | int | float | str

_MAX_SHOWN = 200


class Verdict(StrEnum):
    """What a criterion, or a whole run, comes to."""

    PASS = "pass"  # noqa: S105  (measured, and good)
    FAIL = "fail"  # measured, and bad
    INCONCLUSIVE = "inconclusive"  # not measured, or not enough: never good, and never the service's fault


WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value with its unit, source and time of observation; `samples` and `window_s` where it summarises many.

    `problem` stands in for a value that could not be had. A `ServiceError` there blames the service (its answer lacks
    the field), any other error blames the observer; either is raised as soon as a criterion asks for the value.
    """

    name: str
    value: Value | None
    unit: str = ""
    source: str = ""
    observed_at: datetime = field(default_factory=now)
    samples: int | None = None
    window_s: float | None = None
    limit: Value | None = None
    rule: str = ""  # how the value is held against the limit: "=", "<", ">", "one of"
    note: str = ""  # what else a reader should know, such as a retry
    logs: tuple[str, ...] = ()  # files in the run's folder that have more
    series: Series | None = None  # how the value came about, for a chart
    problem: VerificationError | None = None
    # A record is written and read through pydantic, which knows nothing of our errors.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    def must_be(self, expected: Value) -> None:
        """Hold the value to be `expected`."""
        __tracebackhide__ = True
        words = show(expected)
        if type(self.value) is not type(expected) and show(self.value) == words:
            words += f", a {type(expected).__name__} and no {type(self.value).__name__}"
        self._hold("=", expected, words, good=_same(self.value, expected))

    def must_be_one_of(self, *allowed: Value) -> None:
        """Hold the value to be one of `allowed`."""
        __tracebackhide__ = True
        listed = " or ".join(map(str, allowed))
        self._hold("one of", listed, listed, good=any(_same(self.value, value) for value in allowed))

    def must_start_with_one_of(self, *prefixes: str) -> None:
        """Hold the text to begin with one of `prefixes`, such as a media type with `video/`."""
        __tracebackhide__ = True
        listed = " or ".join(prefixes)
        self._hold(
            "starts with",
            listed,
            f"something that starts with {listed}",
            good=isinstance(self.value, str) and self.value.startswith(prefixes),
        )

    def must_be_below(self, limit: float) -> None:
        """Hold the number to be less than `limit`."""
        __tracebackhide__ = True
        self._hold("<", limit, f"less than {show(limit, self.unit)}", good=_number(self.value) < limit)

    def must_be_more_than(self, limit: float) -> None:
        """Hold the number to be greater than `limit`."""
        __tracebackhide__ = True
        self._hold(">", limit, f"more than {show(limit, self.unit)}", good=_number(self.value) > limit)

    def must_be_at_least(self, limit: float) -> None:
        """Hold the number to be `limit` or more."""
        __tracebackhide__ = True
        self._hold(">=", limit, f"at least {show(limit, self.unit)}", good=_number(self.value) >= limit)

    def must_be_between(self, least: float, most: float) -> None:
        """Hold the number to lie between `least` and `most` (which may be infinite), both allowed."""
        __tracebackhide__ = True
        words = f"at least {show(least)}" if most == float("inf") else f"{show(least)} to {show(most)}"
        self._hold("between", words, words, good=least <= _number(self.value) <= most)

    def _hold(self, rule: str, limit: Value, words: str, *, good: bool) -> None:
        __tracebackhide__ = True
        record(replace(self, limit=limit, rule=rule))
        if self.problem is not None:
            raise self.problem
        if not good:
            where = f" ({self.source})" if self.source else ""
            extra = f"; {self.note}" if self.note else ""
            raise ServiceError(f"{self.name} is {show(self.value, self.unit)}, expected {words}{where}{extra}")


@dataclass(frozen=True, slots=True)
class MeasurementSet:
    """Measurements that are held together."""

    measurements: tuple[Measurement, ...]

    def must_all_be_one_of(self, *allowed: Value) -> None:
        """Hold every one to be one of `allowed`; all are recorded, and the worst of them decides."""
        __tracebackhide__ = True
        problems: list[VerificationError] = []
        for measurement in self.measurements:
            try:
                measurement.must_be_one_of(*allowed)
            except VerificationError as problem:
                problems.append(problem)
        worst = [problem for problem in problems if isinstance(problem, ServiceError)] or problems
        if worst:
            remedies = dict.fromkeys(problem.remedy for problem in worst if problem.remedy)
            raise type(worst[0])("\n".join(problem.cause for problem in worst), " ".join(remedies))


def show(value: Value | None, unit: str = "") -> str:
    """A value as a person reads it: `312 ms`, `2 %`, `"degraded"` cut to a sensible length."""
    if value is None:
        return "missing"
    # Cleaned before it is cut: half a secret would not be known as one.
    text = f"{value:g}" if isinstance(value, float) else redact(str(value))
    text = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
    return f"{text} {unit}".rstrip()


_collecting: ContextVar[list[Measurement] | None] = ContextVar("measurements of the criterion that runs", default=None)


@contextmanager
def collecting() -> Iterator[list[Measurement]]:
    """Collect what the criterion that runs inside measures, in order."""
    measurements: list[Measurement] = []
    token = _collecting.set(measurements)
    try:
        yield measurements
    finally:
        _collecting.reset(token)


def record(measurement: Measurement) -> None:
    """Note a measurement for the report of the criterion that runs; outside of one, nothing happens."""
    measurements = _collecting.get()
    if measurements is not None:
        measurements.append(measurement)


def _same(value: Value | None, expected: Value) -> bool:
    # True == 1 in Python, but {"healthy": 1} is not {"healthy": true}.
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)


def _number(value: Value | None) -> float:
    """The value as a number; NaN, which is below and above nothing, for anything else: infinity was never measured."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # not as a float, which has a largest one
    return value if isinstance(value, float) and isfinite(value) else float("nan")

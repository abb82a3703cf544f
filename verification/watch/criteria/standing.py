"""How a criterion stands while it is watched, and what its watch came to in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from verification.errors import ObserverError, ServiceError
from verification.series import Series, WatchRow
from verification.settings.monitor import Consequence
from verification.verdict import Measurement, Verdict, record
from verification.watch.samples import Sample

_FACTORS = {"%": 100.0, "ms": 1000.0}


@dataclass(frozen=True, slots=True)
class Standing:
    """A verdict, or None while there is none. `observed`: enough was seen, so that what is left open is the service's.

    `roll_back`: one of the checklist's "roll back immediately" rules holds.
    """

    verdict: Verdict | None
    reason: str = ""
    roll_back: bool = False
    observed: bool = True


OPEN = Standing(None)


class SampleJudge(Protocol):
    """One criterion under watch. It takes samples in the order of their time, and never looks at a clock."""

    @property
    def criterion(self) -> str:
        """Its id."""
        ...

    def add_sample(self, sample: Sample) -> None:
        """Take a sample in; those of other streams are none of its business."""
        ...

    def judge(self, *, at_end: bool) -> Standing:
        """How it stands; `at_end`: now that nothing more comes. What fails before the end is certain."""
        ...

    def measurement(self) -> Measurement:
        """Its value, with what that rests on."""
        ...

    def series(self) -> Series:
        """Its values over time."""
        ...

    def row(self) -> WatchRow:
        """Its line in the live view."""
        ...


@dataclass(frozen=True, slots=True)
class WatchedCriterion:
    """What the watch of one criterion came to, for the criterion to hold against its limit.

    `cut_short` says why the watch ended before its time, if it did: then only what was certain by then counts.
    """

    measurement: Measurement
    standing: Standing
    when_ambiguous: Consequence = "rollback"
    when_unobserved: Consequence = "hold"
    cut_short: str = ""

    def must_stay_below(self, limit: float) -> None:
        """Hold the value to have stayed below `limit` (a share of one, or seconds)."""
        __tracebackhide__ = True
        self._hold("<", limit * _FACTORS.get(self.measurement.unit, 1.0))

    def must_stay_above(self, limit: float) -> None:
        """Hold the value to have stayed above `limit` (a share of one)."""
        __tracebackhide__ = True
        self._hold(">", limit * _FACTORS.get(self.measurement.unit, 1.0))

    def must_be_none(self) -> None:
        """Hold that nothing of the kind was seen."""
        __tracebackhide__ = True
        self._hold("=", 0)

    def must_stay_in_range(self) -> None:
        """Hold the value to have stayed in the range (the measurement's limit) that was expected before the watch."""
        __tracebackhide__ = True
        self._hold("between", str(self.measurement.limit))

    def _hold(self, rule: str, limit: float | str) -> None:
        __tracebackhide__ = True
        standing = self.standing
        noted = replace(self.measurement, limit=limit, rule=rule)
        if standing.verdict is Verdict.PASS and not self.cut_short:
            record(replace(noted, note="; ".join(filter(None, (noted.note, standing.reason)))))
            return
        record(noted)
        if standing.verdict is Verdict.FAIL:
            raise ServiceError(standing.reason)
        if self.cut_short:
            raise ObserverError(f"not watched to the end: {self.cut_short}")
        self._undecided(standing)

    def _undecided(self, standing: Standing) -> None:
        __tracebackhide__ = True
        if standing.observed:
            words = f"neither good nor proven bad: {standing.reason}"
            if self.when_ambiguous == "rollback":
                raise ServiceError(words, 'monitor.when_ambiguous is "rollback": in doubt, the release goes back.')
            raise ObserverError(words, 'monitor.when_ambiguous is "hold": a person must look at this now.')
        if self.when_unobserved == "rollback":
            raise ServiceError(
                f"not observed: {standing.reason}",
                'monitor.when_unobserved is "rollback": what nobody can see goes back.',
            )
        raise ObserverError(standing.reason, "A person must look at this now, or watch again: `pytest -m monitor`.")

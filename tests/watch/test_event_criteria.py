"""The criteria of a watch about what must not happen, and about Sentry's rate, fed with samples by hand."""

from __future__ import annotations

import math

import pytest

from tests.watch.fed_criteria import at, fed
from verification.verdict import Verdict
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, DATABASE_ERRORS, ForbiddenEvents
from verification.watch.criteria.sentry_rate import SentryErrorRate
from verification.watch.samples import Sample

# --- things that must not happen --------------------------------------------------------------------------------


def event(seconds: float, key: str, times: float = 1, stream: str = DATABASE_ERRORS) -> Sample:
    return Sample(stream, at(seconds), times, key, f"trouble {key}")


def looked(seconds: float, *, missing: bool = False, stream: str = DATABASE_ERRORS) -> Sample:
    return Sample(stream, at(seconds), text="logging is down" if missing else "", missing=missing)


def lost_databases() -> ForbiddenEvents:
    return ForbiddenEvents("no_database_connection_errors", "lost", DATABASE_ERRORS, "Logging", enough=2, at_once=True)


def test_the_same_line_told_again_is_still_one() -> None:
    found = fed(lost_databases(), [event(1, "a"), event(1, "a"), looked(2), event(1, "a"), looked(3)])
    assert (found.verdict, found.observed) == (None, False)
    assert "seen once only" in found.reason
    assert fed(lost_databases(), [event(1, "a"), event(2, "b")]).verdict is Verdict.FAIL


def test_nothing_seen_means_nothing_while_nobody_could_look() -> None:
    assert fed(lost_databases(), [looked(1), looked(2)]).verdict is Verdict.PASS
    assert fed(lost_databases(), [looked(1, missing=True), looked(2)]).verdict is Verdict.PASS, "found afterwards"
    for samples in ([], [looked(1, missing=True)], [looked(1), looked(2, missing=True)]):
        found = fed(lost_databases(), samples)
        assert (found.verdict, found.observed) == (None, False), samples
        assert lost_databases().measurement().value is None, "never zero"


def test_types_of_errors_are_not_added_up_but_their_events_are() -> None:
    def new() -> ForbiddenEvents:
        return ForbiddenEvents("no_new_error_types", "new", CRITICAL_ERRORS, "Sentry", enough=2, at_once=False)

    once = [event(1, "a", 1, CRITICAL_ERRORS), event(1, "b", 1, CRITICAL_ERRORS), looked(2, stream=CRITICAL_ERRORS)]
    assert fed(new(), once).verdict is None
    assert fed(new(), [event(1, "a", 2, CRITICAL_ERRORS)]).verdict is Verdict.FAIL


# --- Sentry's rate ----------------------------------------------------------------------------------------------


def counted(*counts: tuple[int, int]) -> list[Sample]:
    return [SentryErrorRate.counted(at(n), *one, "Sentry") for n, one in enumerate(counts)]


@pytest.mark.parametrize(
    ("errors", "transactions", "verdict", "observed"),
    [
        (0, 1000, Verdict.PASS, True),
        (9, 1000, Verdict.PASS, True),
        (12, 1000, None, True),  # not below the limit, not proven above it
        (50, 1000, Verdict.FAIL, True),
        (1500, 1000, Verdict.FAIL, True),  # more errors than transactions: several in one, or these are sampled
        (0, 20, None, False),
        (20, 20, None, False),
        (0, 0, None, False),
    ],
)
def test_sentrys_rate_is_held_against_the_limit_where_it_rests_on_enough(
    errors: int, transactions: int, verdict: Verdict | None, observed: bool
) -> None:
    criterion = SentryErrorRate("sentry_error_rate", 0.01, 300)
    found = fed(criterion, counted((0, 10), (errors, transactions)))
    assert (found.verdict, found.observed) == (verdict, observed), found.reason
    assert criterion.judge(at_end=False).verdict is None


@pytest.mark.parametrize(
    "strange",
    [
        Sample("sentry/rate", at(9), math.nan, "1000"),
        Sample("sentry/rate", at(9), math.inf, "1000"),
        Sample("sentry/rate", at(9), -5.0, "1000"),
        Sample("sentry/rate", at(9), None, "1000"),
        Sample("sentry/rate", at(9), 0.0, "many"),
        Sample("sentry/rate", at(9), 0.0, "-7"),
        Sample("sentry/rate", at(9), missing=True, text="Sentry is down"),
    ],
)
def test_a_count_that_is_none_is_missing(strange: Sample) -> None:
    found = fed(SentryErrorRate("sentry_error_rate", 0.01, 300), [*counted((1, 1000)), strange])
    assert (found.verdict, found.observed) == (None, False)

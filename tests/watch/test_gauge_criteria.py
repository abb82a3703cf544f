"""The criteria of a watch about numbers, fed with samples by hand."""

from __future__ import annotations

import math

import pytest

from tests.watch.fed_criteria import at, fed
from verification.verdict import Verdict
from verification.watch.criteria.gauges import DEPENDENCY, INSTANCES, InstanceCount, MedianLatency
from verification.watch.samples import Sample

MONGODB = f"{DEPENDENCY}mongodb"


def levels(*values: float | None, stream: str = MONGODB) -> list[Sample]:
    return [Sample(stream, at(n), value, missing=value is None) for n, value in enumerate(values)]


def mongodb() -> MedianLatency:
    return MedianLatency("mongodb", 100, "deep health")


@pytest.mark.parametrize("strange", [math.nan, math.inf, -1.0, None])
def test_what_is_no_number_is_missing_and_never_zero(strange: float | None) -> None:
    found = fed(mongodb(), levels(40, strange, strange, 40, 40))
    assert (found.verdict, found.observed) == (None, False)
    assert "seen 3 times in 5" in found.reason
    one_of_many = mongodb()
    assert fed(one_of_many, levels(40, strange, *[40] * 8)).verdict is Verdict.PASS
    assert one_of_many.measurement().value == 40
    assert one_of_many.measurement().samples == 9


def test_a_latency_is_judged_by_its_median_at_the_end() -> None:
    assert fed(mongodb(), levels(40, 4000, 40)).verdict is Verdict.PASS, "whole numbers are numbers, too"
    slow = mongodb()
    assert fed(slow, levels(*[140] * 12, 40)).verdict is Verdict.FAIL
    assert slow.judge(at_end=False).verdict is None
    assert fed(mongodb(), levels(*[100] * 9)).verdict is Verdict.FAIL, "below means below"


@pytest.mark.parametrize("values", [(140, 150, 40), (140, 140, 140), (140,) * 16 + (40,) * 14])
def test_a_latency_that_is_not_below_its_limit_is_proven_by_enough_answers_only(values: tuple[float, ...]) -> None:
    found = fed(mongodb(), levels(*values))
    assert (found.verdict, found.observed) == (None, True)
    assert f"of {len(values)} answers that were slower do not prove it" in found.reason


@pytest.mark.parametrize(
    ("expected", "counts", "verdict"),
    [
        ((1, 3), (1, 2, 3), Verdict.PASS),
        ((1, 3), (2, 4, 2), Verdict.PASS),  # while a deployment's instances come and go
        ((1, 3), (4, 4, 2), Verdict.FAIL),
        ((1, 3), (0, 0, 0), Verdict.FAIL),
        (None, (1, 1, 1), None),
        ((1, 3), (), None),
    ],
)
def test_instances_are_in_range_most_of_the_time(
    expected: tuple[float, float] | None, counts: tuple[float, ...], verdict: Verdict | None
) -> None:
    criterion = InstanceCount("instance_count_in_range", expected, (INSTANCES,))
    assert fed(criterion, levels(*counts, stream=INSTANCES)).verdict is verdict

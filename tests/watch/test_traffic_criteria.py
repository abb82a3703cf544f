"""The criteria of a watch about traffic, of many users and of few, fed with samples by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.watch.fed_criteria import answers, at, fed
from verification.judge.judgement import Judgement
from verification.judge.proportion import Block
from verification.verdict import Verdict
from verification.watch.criteria.low_traffic import LowTrafficCriterion, OwnChecks
from verification.watch.criteria.repeated_checks import HEALTH
from verification.watch.criteria.traffic import ERROR_SHARE, LOG, METRICS, TrafficCriterion, percentile
from verification.watch.samples import Sample, TrafficBlock

# --- traffic ----------------------------------------------------------------------------------------------------


class Limit:
    """A judge that fails above one bad request in ten, and does not know its blocks otherwise."""

    def __init__(self, bad: int = 0, total: int = 0, minimum: int = 0) -> None:
        self.bad, self.total, self.minimum = bad, total, minimum

    def after(self, block: Block | None) -> Limit:
        if block is None:
            return self
        return Limit(self.bad + block.over_limit, self.total + block.total, self.minimum)

    @property
    def so_far(self) -> Judgement:
        failed = self.total > 0 and self.bad > self.total / 10
        return self._found(Verdict.FAIL if failed else None, "certain" if failed else "")

    def at_end(self) -> Judgement:
        if not self.total or self.total < self.minimum:
            return self._found(None, "minimum", observed=False)
        return self.so_far if self.so_far.verdict else self._found(Verdict.PASS, "confident")

    def _found(self, verdict: Verdict | None, rule: str, *, observed: bool = True) -> Judgement:
        return Judgement(verdict, f"{self.bad} of {self.total}", observed=observed, rule=rule)


def traffic(total: int = 10, errors: int = 0) -> TrafficBlock:
    return TrafficBlock(10.0, total, errors, 0, 0, 0, total, ((100.0, total),))


def block(number: int, seen: TrafficBlock | None, stream: str = LOG) -> Sample:
    return Sample(stream, at(10 * number), traffic=seen, missing=seen is None)


def error_rate(minimum: int = 0) -> TrafficCriterion[Block]:
    judges = {LOG: Limit(minimum=minimum), METRICS: Limit(minimum=minimum)}
    return TrafficCriterion("cloud_run_error_rate", "error rate", "%", ERROR_SHARE, judges, rule="<", limit=1)


def test_the_preferred_source_decides_while_it_sees_enough() -> None:
    criterion = error_rate()
    fed(criterion, [block(n, traffic()) for n in range(9)])
    fed(criterion, [block(9, None), *(block(n, traffic(errors=5), METRICS) for n in range(10))])
    assert criterion.judge(at_end=True).verdict is Verdict.PASS
    assert criterion.measurement().source == "Cloud Logging, request log"
    assert (criterion.measurement().samples, criterion.measurement().window_s) == (90, 90)


def test_the_other_source_decides_where_too_much_is_missing() -> None:
    criterion = error_rate()
    fed(criterion, [block(0, traffic()), *(block(n, None) for n in range(1, 5))])
    fed(criterion, [block(n, traffic(errors=5), METRICS) for n in range(5)])
    found = criterion.judge(at_end=False)
    assert found.verdict is Verdict.FAIL
    assert "Cloud Monitoring" in found.reason
    assert criterion.measurement().value == 50


def test_where_both_are_blind_nothing_is_known() -> None:
    criterion = error_rate()
    found = fed(criterion, [one for n in range(5) for one in (block(n, None), block(n, None, METRICS))])
    assert (found.verdict, found.observed) == (None, False)
    assert criterion.measurement().value is None
    series = criterion.measurement().series
    assert series is not None
    assert [value for _, value in series.points] == [None] * 5, "a gap, and no zero"


def test_a_percentile_is_the_upper_bound_of_its_bucket() -> None:
    assert percentile({100.0: 95, 900.0: 5}, 0.95) == 100
    assert percentile({100.0: 94, 900.0: 6}, 0.95) == 900
    assert percentile({}, 0.95) is None
    assert percentile({100.0: 0}, 0.95) is None


@pytest.mark.parametrize(
    "strange", [{"errors": 11}, {"errors": -1}, {"everyone": 9}, {"slow": 11}, {"seconds": 0}, {"seconds": math.nan}]
)
def test_counts_that_cannot_be_are_refused(strange: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        replace(traffic(), **strange)  # type: ignore[arg-type]


# --- few users --------------------------------------------------------------------------------------------------


def few(own: str, users: int = 0) -> tuple[LowTrafficCriterion, Judgement]:
    criterion = LowTrafficCriterion(
        error_rate(minimum=300), OwnChecks(5, 20), lambda questions: questions.availability(0.01)
    )
    return criterion, fed(criterion, [block(0, traffic(users)), *answers(own)])


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        ("+" * 30, Verdict.PASS),
        ("-" * 30, Verdict.FAIL),
        ("+" * 28 + "--", None),  # 7 %: no proof, and not good either
        ("+" * 61 + "-", Verdict.PASS),  # 1.6 % of so few are no proof that it is worse than 1 %
        ("+" * 60 + "----" + "+" * 60, None),  # a burst
        ("+" * 60 + "-" * 12 + "+" * 60, Verdict.FAIL),
        ("+" * 199 + "-", Verdict.PASS),
        ("+" * 19, None),
        ("?" * 300, None),
        ("", None),
    ],
)
def test_where_few_users_came_the_suites_own_questions_count_and_are_named(own: str, verdict: Verdict | None) -> None:
    criterion, found = few(own)
    assert found.verdict is verdict, found.reason
    assert not found.observed
    assert "too few users to judge by" in found.reason
    assert criterion.judge(at_end=False).verdict is None, "before the end, more users may come"


def test_own_questions_are_never_pooled_with_users() -> None:
    criterion, found = few("-" * 500, users=400)
    assert found.verdict is Verdict.PASS
    assert criterion.measurement().samples == 400


def test_users_who_were_not_seen_are_not_users_who_did_not_come() -> None:
    criterion = LowTrafficCriterion(error_rate(), OwnChecks(5, 20), lambda questions: questions.availability(0.01))
    blind = [one for n in range(3) for one in (block(n, None), block(n, None, METRICS))]
    assert fed(criterion, [*blind, *answers("+" * 100)]).verdict is None


def test_slow_questions_of_our_own_prove_nothing_and_fast_ones_do() -> None:
    def asked(ms: float, times: int = 30) -> Judgement:
        questions = OwnChecks(5, 20)
        for n in range(times):
            questions.add_sample(Sample(HEALTH, at(n), 1.0, took_ms=ms))
        return questions.latency(0.5)

    assert asked(120).verdict is Verdict.PASS
    assert asked(900).verdict is None
    assert asked(120, times=19).verdict is None

"""The criteria of a watch, each fed with samples by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from verification.judge.judgement import Judgement
from verification.judge.proportion import Block
from verification.judge.questions import QuestionRule
from verification.verdict import Verdict
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, DATABASE_ERRORS, ForbiddenEvents
from verification.watch.criteria.gauges import DEPENDENCY, INSTANCES, InstanceCount, MedianLatency
from verification.watch.criteria.low_traffic import LowTrafficCriterion, OwnChecks
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH, RepeatedCheck
from verification.watch.criteria.sample_judge import SampleJudge
from verification.watch.criteria.sentry_rate import SentryErrorRate
from verification.watch.criteria.traffic import ERROR_SHARE, LOG, METRICS, TrafficCriterion, percentile
from verification.watch.samples import Sample, TrafficBlock

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
MONGODB = f"{DEPENDENCY}mongodb"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fed(criterion: SampleJudge, samples: Iterable[Sample]) -> Judgement:
    for sample in samples:
        criterion.add_sample(sample)
    return criterion.judge(at_end=True)


# --- questions that are put again and again -------------------------------------------------------------------


ASKED = QuestionRule(0.01, block_s=5, blocks=240, lasting_s=10)


def health() -> RepeatedCheck:
    return RepeatedCheck("service_stays_healthy", "health", HEALTH, ASKED)


def flows() -> RepeatedCheck:
    return RepeatedCheck("user_flows_keep_working", "flows", FLOWS, ASKED)


def answers(pattern: str, stream: str = HEALTH, every: float = 5, start: float = 0) -> list[Sample]:
    """`+` a good answer, `-` a bad one, `?` none."""
    values = {"+": 1.0, "-": 0.0, "?": None}
    return [
        Sample(stream, at(start + every * n), values[one], text="status is 503", missing=one == "?")
        for n, one in enumerate(pattern)
    ]


@pytest.mark.parametrize(
    ("pattern", "verdict", "observed"),
    [
        ("++++++++", Verdict.PASS, True),
        ("+++-++++", Verdict.PASS, True),  # a single one, and the next is good
        ("+" * 30 + "-" + "+" * 31, Verdict.PASS, True),  # 1.6 %, which proves nothing against 1 %
        ("---+++", Verdict.FAIL, True),  # 10 s long, from the beginning on
        ("+++---++", Verdict.PASS, True),  # three of those that come late are not certain yet
        ("+++----++", Verdict.FAIL, True),
        ("+++--+--+--+", Verdict.FAIL, True),  # never lasting, and yet certain
        ("+++-+-+-++++", None, True),  # neither
        ("+++++++-", None, False),  # what would have come next?
        ("++++----?", Verdict.FAIL, True),
        ("+++-?---++", Verdict.FAIL, True),  # no answer does not end a row
        ("+++??+++", None, False),
        ("++", None, False),
        ("", None, False),
        ("????", None, False),
    ],
)
def test_bad_answers_are_judged_by_bounds(pattern: str, verdict: Verdict | None, observed: bool) -> None:
    found = fed(health(), answers(pattern))
    assert (found.verdict, found.observed) == (verdict, observed), found.reason
    assert found.roll_back is (verdict is Verdict.FAIL)


def test_an_unlucky_answer_is_said_with_its_bound() -> None:
    unlucky = health()
    found = fed(unlucky, answers("+" * 30 + "-" + "+" * 31))
    assert found.reason == "status is 503 (1 of 62 failed, at most 7.42 %)"
    assert (unlucky.measurement().value, unlucky.measurement().samples) == (0, 62)
    assert unlucky.measurement().note == "1 of 62 answers were bad"


def test_a_service_that_dies_is_said_to_have_died() -> None:
    dead = health()
    fed(dead, answers("+++----"))
    found = dead.judge(at_end=False)
    assert (found.verdict, found.roll_back) == (Verdict.FAIL, True)
    assert found.reason == "status is 503 (4 bad answers in a row, over 15s)"
    assert dead.measurement().value == 1


def test_missing_answers_are_no_part_of_a_row() -> None:
    criterion = health()
    fed(criterion, answers("+---???"))
    assert criterion.judge(at_end=False).verdict is None


def test_a_flow_is_broken_by_its_own_answers_only() -> None:
    criterion = flows()
    names = ("login", "content_listing", "search")
    for start in range(0, 600, 200):
        for number, name in enumerate(names):
            own = "++++++++" if start != number * 200 else "+++-++++"
            fed(criterion, answers(own, f"{FLOWS}{name}", start=start))
    assert criterion.judge(at_end=False).verdict is None, "three flows, each bad once"
    assert criterion.judge(at_end=True).verdict is Verdict.PASS
    fed(criterion, answers("----", f"{FLOWS}search", start=600))
    found = criterion.judge(at_end=False)
    assert (found.verdict, found.roll_back) == (Verdict.FAIL, True)


def test_the_worst_of_the_flows_is_what_they_come_to() -> None:
    unseen = flows()
    fed(unseen, answers("+++-", f"{FLOWS}login"))
    found = fed(unseen, answers("+++-+-+-++++", f"{FLOWS}search"))
    assert (found.verdict, found.observed) == (None, True)
    fed(unseen, answers("-----", f"{FLOWS}content_listing"))
    assert unseen.judge(at_end=True).verdict is Verdict.FAIL


# --- numbers ----------------------------------------------------------------------------------------------------


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

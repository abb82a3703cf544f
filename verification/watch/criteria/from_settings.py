"""Which criteria a watch has, from the settings and from what was normal before the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from verification.judge.proportion import Block, ProportionJudge, ProportionRule
from verification.judge.questions import QuestionRule
from verification.judge.rate import RateJudge, RateRule
from verification.settings.model import Settings
from verification.settings.monitor import Instances, Monitor
from verification.watch.baseline import Baseline
from verification.watch.criteria.forbidden_events import (
    CRITICAL_ERRORS,
    DATABASE_ERRORS,
    NEW_ERRORS,
    RESTARTS,
    ForbiddenEvents,
)
from verification.watch.criteria.gauges import INSTANCES, InstanceCount, MedianLatency
from verification.watch.criteria.low_traffic import LowTrafficCriterion, OwnChecks
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH, RepeatedCheck
from verification.watch.criteria.sample_judge import SampleJudge, UnjudgeableCriterion
from verification.watch.criteria.sentry_rate import SentryErrorRate
from verification.watch.criteria.traffic import ERROR_SHARE, P95_LATENCY, TrafficCriterion, share_of

SLOW_SHARE = 0.05  # "P95 below the limit" allows one in twenty to be slower
DEPENDENCIES = ("mongodb", "openai", "elevenlabs", "pinecone")
HALF = 0.5
_SPARE_BLOCKS = 60


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """The blocks of a stream: how long each is, and for how many seconds there may be any."""

    block_s: float
    seconds: float

    @property
    def blocks(self) -> int:
        """How many there may be at most."""
        return ceil(self.seconds / self.block_s) + _SPARE_BLOCKS


def configured_criteria(
    settings: Settings, monitor: Monitor, baseline: Baseline | None, grids: Mapping[str, BlockGrid]
) -> list[SampleJudge]:
    """All criteria that `settings` configure; `grids` are those of the traffic's streams, the preferred one first."""
    limits = settings.limits
    found: list[SampleJudge] = []
    if settings.health.basic:
        found.append(
            RepeatedCheck(
                "service_stays_healthy",
                "lasting failures of the health path",
                HEALTH,
                _question(settings, monitor, monitor.health_every),
            )
        )
    if grids:
        found += [
            LowTrafficCriterion(
                error_rate(settings, monitor, baseline, grids),
                _own_checks(monitor),
                lambda own: own.availability(limits.error_rate),
            ),
            LowTrafficCriterion(
                p95_latency(settings, monitor, grids),
                _own_checks(monitor),
                lambda own: own.latency(limits.p95_latency),
            ),
            _traffic(baseline, grids),
            InstanceCount("instance_count_in_range", _expected(monitor.instances, baseline), (INSTANCES,)),
            _none_of("no_database_connection_errors", "database connection errors", DATABASE_ERRORS, 2),
            _none_of("no_container_restarts", "containers killed", RESTARTS, 1),
        ]
    if settings.sentry:
        found += [
            SentryErrorRate("sentry_error_rate", limits.error_rate, monitor.minimum_requests),
            ForbiddenEvents("no_new_error_types", "new types of errors", NEW_ERRORS, "Sentry", enough=2, at_once=False),
            ForbiddenEvents(
                "no_critical_errors", "new critical errors", CRITICAL_ERRORS, "Sentry", enough=1, at_once=True
            ),
        ]
    if settings.health.deep:
        found += [
            MedianLatency(name, limit * 1000, settings.health.deep.path)
            for name in DEPENDENCIES
            if (limit := getattr(limits, f"{name}_latency")) is not None
        ]
    if settings.flows.login or settings.flows.content_listing or settings.flows.search:
        rule = _question(settings, monitor, monitor.flows_every)
        found.append(RepeatedCheck("user_flows_keep_working", "flows that broke", FLOWS, rule))
    return found


def _own_checks(monitor: Monitor) -> OwnChecks:
    return OwnChecks(monitor.block, monitor.tolerated_burst.fail)


def _question(settings: Settings, monitor: Monitor, every: float) -> QuestionRule:
    return QuestionRule(
        limit=settings.limits.error_rate,
        block_s=every,
        blocks=BlockGrid(every, monitor.longest).blocks,
        lasting_s=monitor.unhealthy_lasting,
    )


def _none_of(criterion: str, title: str, stream: str, enough: int) -> ForbiddenEvents:
    return ForbiddenEvents(criterion, title, stream, "Cloud Logging", enough=enough, at_once=True)


def _rule(monitor: Monitor, grid: BlockGrid, noun: str, limit: float, roll_back_at: float) -> ProportionRule:
    return ProportionRule(
        noun=noun,
        limit=limit,
        roll_back_at=roll_back_at,
        block_s=grid.block_s,
        blocks=grid.blocks,
        lasting_s=monitor.roll_back_at.lasting,
        burst_fail_s=monitor.tolerated_burst.fail,
        burst_roll_back_s=monitor.tolerated_burst.roll_back,
        minimum=monitor.minimum_requests,
    )


def error_rate(
    settings: Settings, monitor: Monitor, baseline: Baseline | None, grids: Mapping[str, BlockGrid]
) -> TrafficCriterion[Block]:
    """The share of users' requests that fail."""
    limit, at_once = settings.limits.error_rate, monitor.roll_back_at.error_rate

    def rule(grid: BlockGrid) -> ProportionRule:
        rule = _rule(monitor, grid, "requests failed", limit, at_once)
        if baseline is None or not baseline.requests:
            return rule
        return replace(rule, dispersion=baseline.dispersion, baseline=(baseline.errors, baseline.requests))

    return TrafficCriterion(
        "cloud_run_error_rate",
        "error rate",
        "%",
        ERROR_SHARE,
        {stream: ProportionJudge.start(rule(grid)) for stream, grid in grids.items()},
        rule="<",
        limit=limit * 100,
        roll_back_at=at_once * 100,
    )


def p95_latency(settings: Settings, monitor: Monitor, grids: Mapping[str, BlockGrid]) -> TrafficCriterion[Block]:
    """The 95th percentile of users' latency."""
    limit_ms, at_once_ms = settings.limits.p95_latency * 1000, monitor.roll_back_at.p95_latency * 1000

    def rule(grid: BlockGrid) -> ProportionRule:
        rule = _rule(monitor, grid, f"requests took longer than {limit_ms:g} ms", SLOW_SHARE, SLOW_SHARE)
        return replace(rule, severe_noun=f"requests took longer than {at_once_ms:g} ms")

    return TrafficCriterion(
        "p95_latency",
        "p95 latency",
        "ms",
        P95_LATENCY,
        {stream: ProportionJudge.start(rule(grid)) for stream, grid in grids.items()},
        rule="<",
        limit=limit_ms,
        roll_back_at=at_once_ms,
    )


def _traffic(baseline: Baseline | None, grids: Mapping[str, BlockGrid]) -> SampleJudge:
    criterion, title = "traffic_matches_baseline", "requests, of what is usual"
    if baseline is None or not baseline.requests:
        why = "what is usual is not known: no baseline could be read" if baseline is None else "nobody came before"
        return UnjudgeableCriterion(criterion, title, why)
    limit, dispersion = HALF * baseline.rpm / 60, baseline.request_dispersion
    judges = {
        stream: RateJudge.start(RateRule(limit, grid.block_s, grid.blocks, dispersion))
        for stream, grid in grids.items()
    }
    return TrafficCriterion(criterion, title, "%", share_of(baseline.rpm), judges, rule=">", limit=HALF * 100)


def _expected(instances: Instances | None, baseline: Baseline | None) -> tuple[float, float] | None:
    """From half of the fewest to twice the most, and one more: a deployment brings instances of both revisions."""
    if instances is not None:
        return instances.at_least, instances.at_most
    if baseline is None or baseline.instances is None:
        return None
    fewest, most = baseline.instances
    return fewest // 2, 2 * most + 1

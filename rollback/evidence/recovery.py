"""After a rollback: do users' requests succeed again, as often and as fast as before the deployment?

Judged by the same judge as a deployment is, over a shorter time. Too few requests prove nothing, and are said so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta

from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.clients.google.cloud_run import CloudRun
from verification.deadline import Deadline, now
from verification.errors import VerificationError
from verification.judge.judgement import Judgement
from verification.judge.proportion import Block
from verification.settings.model import Settings
from verification.settings.monitor import Monitor
from verification.verdict import Measurement, Verdict
from verification.watch.baseline import Baseline, latest_visible, read_baseline
from verification.watch.criteria.from_settings import BlockGrid, error_rate, p95_latency
from verification.watch.criteria.traffic import LOG, TrafficCriterion
from verification.watch.sources.request_log import RequestLogSource

_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Recovery:
    """What users met since the traffic was back. `problem`: what is proven to be still bad; empty otherwise."""

    checks: tuple[Measurement, ...] = ()
    problem: str = ""


def recovery(settings: Settings, cloud_run: CloudRun, revision: str) -> Recovery:
    """Look at users' requests to `revision` for `rollback.metrics_within`. Never raises."""
    monitor, seconds = settings.monitor, settings.rollback.metrics_within
    if monitor is None or not seconds:
        return Recovery()
    logging = CloudLogging(cloud_run.settings)
    try:
        return _judged(settings, monitor, logging, _baseline(cloud_run), revision, seconds)
    except VerificationError as problem:
        return Recovery((Measurement("users' requests", None, source="Cloud Logging", note=problem.cause),))
    finally:
        logging.close()


def _judged(
    settings: Settings,
    monitor: Monitor,
    logging: CloudLogging,
    baseline: Baseline | None,
    revision: str,
    seconds: float,
) -> Recovery:
    start = now()
    log = RequestLogSource(logging, revision, start, monitor, settings.limits.p95_latency)
    grids = {LOG: BlockGrid(monitor.block, seconds)}
    watched = [
        error_rate(settings, monitor, baseline, grids),
        p95_latency(settings, monitor, grids),
    ]
    end = start + timedelta(seconds=max(seconds, monitor.block))
    deadline = Deadline.after((end - start).total_seconds() + monitor.log_delay + monitor.block + _PAUSE)
    bad = False  # proven: somebody must be called now, not at the end
    while not bad and not log.covers(end) and not deadline.is_over:
        time.sleep(_PAUSE)
        _take(log, watched)
        bad = any(criterion.judge(at_end=False).verdict is Verdict.FAIL for criterion in watched)
    return Recovery(
        tuple(_check(criterion, at_end=not bad) for criterion in watched),
        "; ".join(filter(None, (_problem(criterion, at_end=not bad) for criterion in watched))),
    )


def _baseline(cloud_run: CloudRun) -> Baseline | None:
    """The half hour before the newest revision was created; None where nobody knows."""
    monitoring = CloudMonitoring(cloud_run.settings)
    try:
        created = cloud_run.revision(cloud_run.service().latest_created).created
        until = min(created, latest_visible(monitoring, now()))
        return read_baseline(monitoring, cloud_run.settings.service, until)
    except VerificationError:
        return None
    finally:
        monitoring.close()


def _take(log: RequestLogSource, watched: list[TrafficCriterion[Block]]) -> None:
    for sample in log.read_samples(now()):
        for criterion in watched:
            criterion.add_sample(sample)


def _check(criterion: TrafficCriterion[Block], *, at_end: bool) -> Measurement:
    judgement = criterion.judge(at_end=at_end)
    return replace(criterion.measurement(), series=None, note=_words(judgement))


def _words(judgement: Judgement) -> str:
    return judgement.reason if judgement.observed else f"not enough to judge by: {judgement.reason}"


def _problem(criterion: TrafficCriterion[Block], *, at_end: bool) -> str:
    judgement = criterion.judge(at_end=at_end)
    return f"users' requests have not recovered: {judgement.reason}" if judgement.verdict is Verdict.FAIL else ""

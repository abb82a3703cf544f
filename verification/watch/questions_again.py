"""A watch's own questions, put to somebody else: to the revision from before, or once the traffic has moved.

What users met cannot be asked for again, and has no answer here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from verification.clients.service.client import Service
from verification.judge.confirmation import Answers
from verification.watch.criteria.from_settings import DEPENDENCIES
from verification.watch.samples import Sample
from verification.watch.sources.factory import WatchContext
from verification.watch.sources.questions import DependencySource, FlowSource, HealthSource
from verification.watch.sources.source import Source

_ROUNDS = 9  # side by side: of so many, some good ones make nobody better than who fails now and then
_LOGINS = 3  # of which all are bad where it is certain; more might lock the account
_FLOWS = "user_flows_keep_working"
_EVERY = 1.0  # unused: each source is read once


def ask_again(context: WatchContext, criterion: str, service: Service) -> Answers | None:
    """How often `service` answers badly what `criterion` asks, of some times side by side; None for what is not asked.

    Answers that say nothing are left out.
    """
    rounds = _LOGINS if criterion == _FLOWS else _ROUNDS
    sources = [source for _ in range(rounds) if (source := _source(context, criterion, service)) is not None]
    if not sources:
        return None
    limit = getattr(context.settings.limits, criterion, None)
    most = float("inf") if limit is None else 1000 * float(limit)
    with ThreadPoolExecutor(len(sources)) as pool:
        found = list(pool.map(lambda source: _round(list(source.read_samples(context.clock())), most), sources))
    known = [bad for bad in found if bad is not None]
    return Answers(sum(known), len(known), context.settings.limits.error_rate)


def _source(context: WatchContext, criterion: str, service: Service) -> Source | None:
    health, flows = context.settings.health, context.settings.flows
    if criterion == "service_stays_healthy" and health.basic:
        return HealthSource(service, health.basic, _EVERY, _EVERY)
    if criterion == _FLOWS:
        return FlowSource(service, flows, context.variables, _EVERY, _EVERY)
    name, latency, _ = criterion.partition("_latency")
    if latency and health.deep and name in DEPENDENCIES:
        return DependencySource(service, health.deep, [name], _EVERY)
    return None


def _round(samples: list[Sample], most_ms: float) -> bool | None:
    """Whether anything was bad; None where nothing was answered."""
    values = [sample.value for sample in samples if not sample.missing and sample.value is not None]
    if most_ms < float("inf"):
        return any(value >= most_ms for value in values) if values else None
    return any(not value for value in values) if values else None

"""The judge beside the rules of the field: simulated watches whose truth is known, judged by all of them.

Printed is a table of all rules, pooled, and one of every scenario. A watch takes 15 minutes; ours is extended once to
30 where it is undecided. A bad verdict is one that rolls back. At 5 rpm our own probes (30 rpm) carry the verdict on
errors, as they do in a watch; nothing carries the one on latency.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks.figure import Figure
from benchmarks.judge_rules import FAIL, PASS, UNDECIDED, Outcomes, ours, rivals
from benchmarks.judge_scenarios import (
    BLOCK_S,
    MINUTE,
    MOST,
    SYNTHETIC_RPM,
    WATCH,
    Floats,
    Scenario,
    Truth,
    scenarios,
)
from verification.judge.proportion import Block, ProportionJudge, ProportionRule
from verification.watch.baseline import WINDOW, Baseline, Minute

_OURS, _OURS_60 = "judge, 10 s", "judge, 60 s"
_SHARED = 250  # how many runs share a baseline
_STREAMS = 20
_WATCH_S = WATCH * BLOCK_S
_BURST_S = 120  # tolerated: what began later may be one


@dataclass(frozen=True, slots=True)
class _Result:
    """What one rule made of one scenario, as shares of the runs; the delays (s) of its bad verdicts."""

    scenario: Scenario
    rule: str
    bad: float
    passed: float
    undecided: float
    delays: Floats

    def delay(self, percentile: float) -> float:
        return float(np.percentile(self.delays, percentile)) if len(self.delays) else float("inf")


def measure(*, quick: bool) -> list[Figure]:
    """The tables, and the figures that the judge is held to."""
    runs = (200, 200) if quick else (3000, 2000)
    with ProcessPoolExecutor() as pool:
        found = [one for results in pool.map(partial(_judged, runs=runs), scenarios()) for one in results]
    print(f"{runs[0]:,} runs of each healthy or troubled scenario, {runs[1]:,} of each other one\n")
    print(f"{_pooled(found)}\n\n{_each(found)}\n")
    return [*_figures(found), _cost()]


def _judged(scenario: Scenario, runs: tuple[int, int]) -> list[_Result]:
    rng = np.random.default_rng(zlib.crc32(f"{scenario.name} {scenario.rpm}".encode()))
    count = runs[scenario.truth not in {Truth.HEALTHY, Truth.TROUBLED}]
    blocks = scenario.simulate(count, rng)
    found = rivals(scenario, blocks, rng)
    synthetic = scenario.simulate(count, rng, SYNTHETIC_RPM) if scenario.rpm < SYNTHETIC_RPM else None
    for name, size in ((_OURS, 1), (_OURS_60, MINUTE)):
        parts = []
        for part in np.array_split(np.arange(count), max(1, count // _SHARED)):
            rule, place = _rule(scenario, size, rng), slice(part[0], part[-1] + 1)
            outcomes = ours(rule, blocks.of(place).merged(size))
            if synthetic is not None and scenario.limit < 0.05:
                outcomes = outcomes.where_undecided(ours(rule, synthetic.of(place).merged(size)))
            parts.append(outcomes)
        found[name] = Outcomes(
            *(np.concatenate(one) for one in zip(*((p.verdict, p.at_s) for p in parts), strict=True))
        )
    return [_result(scenario, name, outcomes) for name, outcomes in found.items()]


def _rule(scenario: Scenario, size: int, rng: np.random.Generator) -> ProportionRule:
    """What the watch would ask, having seen half an hour before the deployment."""
    total, bad = scenario.normal_minutes(1, rng)
    until = datetime(2026, 1, 1, tzinfo=UTC)
    minutes = tuple(Minute(requests=int(n), errors=int(s)) for n, s in zip(total[0], bad[0], strict=True))
    before = Baseline(
        service="", since=until - WINDOW, until=until, minutes=minutes, p95_ms=None, instances=None, latencies_ms={}
    )
    return ProportionRule(
        noun="requests failed",
        limit=scenario.limit,
        roll_back_at=0.05,
        block_s=BLOCK_S * size,
        blocks=MOST // size,
        dispersion=before.dispersion if scenario.limit < 0.05 else 1.0,
        baseline=(before.errors, before.requests) if scenario.compared else None,
    )


def _result(scenario: Scenario, rule: str, outcomes: Outcomes) -> _Result:
    bad = outcomes.verdict == FAIL
    delays = outcomes.at_s[bad] + scenario.lag_s - scenario.onset_s
    passed, undecided = (float(np.mean(outcomes.verdict == verdict)) for verdict in (PASS, UNDECIDED))
    return _Result(scenario, rule, float(bad.mean()), passed, undecided, delays[delays > 0])


def _of(found: Iterable[_Result], *truths: Truth, rule: str = "", name: str = "", rpm: float = 0) -> list[_Result]:
    return [
        one
        for one in found
        if (not truths or one.scenario.truth in truths)
        and (not rule or one.rule == rule)
        and one.scenario.name.startswith(name)
        and one.scenario.rpm >= rpm
    ]


def _pooled(found: Sequence[_Result]) -> str:
    rules = list(dict.fromkeys(one.rule for one in found))
    bursts = [one for one in _of(found, Truth.TROUBLED) if " for " in one.scenario.name]
    slow = [one for one in _of(found, name="2% errors") if one.scenario.rpm == 1000]
    rows = [["", *rules]]

    def row(title: str, results: Sequence[_Result], kind: str) -> None:
        rows.append([title, *(_cell(_of(results, rule=rule), kind) for rule in rules)])

    row("healthy: false alarms", _of(found, Truth.HEALTHY), "bad")
    row("healthy: undecided", _of(found, Truth.HEALTHY), "undecided")
    row("troubled: false alarms", _of(found, Truth.TROUBLED), "bad")
    row("bursts of 60 s at most: false alarms", bursts, "bad")
    row("severe faults: passed", _of(found, Truth.SEVERE), "passed")
    row("severe faults: undecided", _of(found, Truth.SEVERE), "undecided")
    row("moderate faults: passed", _of(found, Truth.MODERATE), "passed")
    row("moderate faults: undecided", _of(found, Truth.MODERATE), "undecided")
    certain = [one for one in _of(found, Truth.SEVERE, rpm=1000) if one.scenario.name in {"20% errors", "100% errors"}]
    row("20 and 100 % errors, 1000 rpm and more: delay", certain, "delay")
    row("2 % errors, 1000 rpm: delay", slow, "delay")
    return _aligned(rows)


def _each(found: Sequence[_Result]) -> str:
    rules = list(dict.fromkeys(one.rule for one in found))
    rows = [["scenario: bad % / undecided %, median/p95 delay s", "rpm", *rules]]
    for scenario in dict.fromkeys((one.scenario.name, one.scenario.rpm) for one in found):
        results = {one.rule: one for one in found if (one.scenario.name, one.scenario.rpm) == scenario}
        rows.append([scenario[0], f"{scenario[1]:,}", *(_short(results[rule]) for rule in rules)])
    return _aligned(rows)


def _cell(results: Sequence[_Result], kind: str) -> str:
    if kind == "delay":
        delays = np.concatenate([one.delays for one in results])
        return f"{np.median(delays):.0f} / {np.percentile(delays, 95):.0f} s" if len(delays) else "never"
    return _percent(float(np.mean([getattr(one, kind) for one in results])))


def _short(result: _Result) -> str:
    text = f"{100 * result.bad:.3g}/{100 * result.undecided:.3g}"
    alarm = result.scenario.truth in {Truth.HEALTHY, Truth.TROUBLED}
    return text if alarm or not len(result.delays) else f"{text} {result.delay(50):.0f}/{result.delay(95):.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _figures(found: Sequence[_Result]) -> list[Figure]:
    judges = [one for one in found if one.rule in {_OURS, _OURS_60}]

    def worst(title: str, results: Sequence[_Result], kind: str, limit: float | None) -> Figure:
        most = max(results, key=lambda one: getattr(one, kind))
        where = f"worst of {len(results)}: {most.scenario.name}, {most.scenario.rpm:,} rpm, {most.rule}"
        return Figure(title, round(100 * getattr(most, kind), 3), limit, "%", where)

    def delay(title: str, name: str, rule: str, percentile: float, limit: float | None) -> Figure:
        (result,) = (one for one in _of(judges, rule=rule) if (one.scenario.name, one.scenario.rpm) == (name, 1000))
        return Figure(title, result.delay(percentile), limit, "s", rule)

    undecided = float(np.mean([one.undecided for one in _of(judges, Truth.HEALTHY)]))
    slow = _of(judges, name="2% errors", rpm=60)
    severe = _of(judges, Truth.SEVERE)
    early = [one for one in severe if one.scenario.onset_s <= _WATCH_S - _BURST_S]
    return [
        worst("healthy: false roll-back", _of(judges, Truth.HEALTHY), "bad", 0.1),
        worst("troubled: false roll-back", _of(judges, Truth.TROUBLED), "bad", 0.1),
        worst("severe fault passed", early, "passed", 0),
        worst("- begun in the last two minutes", [one for one in severe if one not in early], "passed", None),
        worst("2 % errors at 60 rpm or more passed", slow, "passed", 1),
        delay("20 % errors, 1000 rpm: found, p95", "20% errors", _OURS, 95, 80),
        delay("20 % errors, 1000 rpm: found, p95", "20% errors", _OURS_60, 95, 120),
        delay("2 % errors, 1000 rpm: found, median", "2% errors", _OURS, 50, 350),
        delay("- in blocks of 60 s", "2% errors", _OURS_60, 50, None),
        Figure(
            "healthy: undecided, pooled", round(100 * undecided, 2), 15, "%", "neither pass nor fail after 30 minutes"
        ),
    ]


def _cost() -> Figure:
    """The real judge, asked after every block as a watch asks it."""
    rule = ProportionRule("requests failed", 0.01, 0.05, BLOCK_S, MOST, baseline=(15, 30_000))
    blocks = [Block(167, bad, bad, bad) for bad in np.random.default_rng(1).binomial(167, 0.005, WATCH).tolist()]
    start = time.process_time()
    for _ in range(_STREAMS):
        judge = ProportionJudge.start(rule)
        for block in blocks:
            judge = judge.after(block)
            judge.so_far.reason  # noqa: B018  (worked out when asked)
        judge.at_end()
    spent = time.process_time() - start
    share = 100 * spent / _WATCH_S
    note = f"{_STREAMS} streams of {WATCH} blocks take {spent:.2f} s of a watch of {_WATCH_S} s"
    return Figure("the judge's share of a core", round(share, 3), 1, "%", note)

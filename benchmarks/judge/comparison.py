"""The judge beside the rules of the field: simulated watches whose truth is known, judged by all of them.

Printed is a table of all rules, pooled, and one of every scenario. A watch takes 15 minutes; ours is extended once to
30 where it is undecided. A bad verdict is one that rolls back. At 5 rpm our own probes (30 rpm) carry the verdict on
errors, as they do in a watch; nothing carries the one on latency.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby

import numpy as np

from benchmarks.figure import Figure, text_table
from benchmarks.judge import questions
from benchmarks.judge.rules import FAIL, PASS, UNDECIDED, Outcomes, ours, rivals
from benchmarks.judge.scenarios import (
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
from verification.judge.dispersion import INDEPENDENT, dispersion_of
from verification.judge.proportion import ProportionRule
from verification.watch.baseline import WINDOW

_OURS, _OURS_60 = "judge, 10 s", "judge, 60 s"
_SHARED = 250  # how many runs share a baseline
_SPELLS = 12_000  # runs: no baseline is like another one there, and of 2,000 one may be bad
_WATCH_S = WATCH * BLOCK_S
_DAY = 24 * 60  # minutes
_BURST_S = 120  # tolerated: what began later may be one


@dataclass(frozen=True, slots=True)
class _ScenarioResult:
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
        found = list(chain.from_iterable(pool.map(partial(_judged, runs=runs), scenarios())))
    print(
        f"{runs[0]:,} runs of each healthy or troubled scenario ({_SPELLS:,} with spells), {runs[1]:,} of each other\n"
    )
    print(f"{_pooled(found)}\n\n{_each(found)}\n")
    return [*_figures(found), *questions.measure(quick=quick)]


def _judged(scenario: Scenario, runs: tuple[int, int]) -> list[_ScenarioResult]:
    rng = np.random.default_rng(zlib.crc32(f"{scenario.name} {scenario.rpm}".encode()))
    count = runs[scenario.truth not in {Truth.HEALTHY, Truth.TROUBLED}]
    count = _SPELLS if scenario.wander else count
    blocks = scenario.simulate(count, rng)
    found = rivals(scenario, blocks, rng)
    synthetic = scenario.simulate(count, rng, SYNTHETIC_RPM) if scenario.rpm < SYNTHETIC_RPM else None
    for name, size in ((_OURS, 1), (_OURS_60, MINUTE)):
        parts = []
        for chunk in np.array_split(np.arange(count), max(1, count // _SHARED)):
            rule, runs_of = _rule(scenario, size, rng), slice(chunk[0], chunk[-1] + 1)
            outcomes = ours(rule, blocks.of(runs_of).merged(size))
            if synthetic is not None and scenario.limit < 0.05:
                outcomes = outcomes.where_undecided(ours(rule, synthetic.of(runs_of).merged(size)))
            parts.append(outcomes)
        found[name] = Outcomes(
            np.concatenate([part.verdict for part in parts]), np.concatenate([part.at_s for part in parts])
        )
    return [_result(scenario, name, outcomes) for name, outcomes in found.items()]


def _rule(scenario: Scenario, size: int, rng: np.random.Generator) -> ProportionRule:
    """What the watch would ask, having seen half an hour before the deployment, and how the errors of a day come."""
    total, bad = (counts[0].tolist() for counts in scenario.normal_minutes(1, rng, _DAY))
    half_hour = slice(-int(WINDOW.total_seconds() // 60), None)
    return ProportionRule(
        noun="requests failed",
        limit=scenario.limit,
        roll_back_at=0.05,
        block_s=BLOCK_S * size,
        blocks=MOST // size,
        dispersion=dispersion_of(list(zip(bad, total, strict=True))) if scenario.limit < 0.05 else INDEPENDENT,
        baseline=(sum(bad[half_hour]), sum(total[half_hour])) if scenario.compared else None,
    )


def _result(scenario: Scenario, rule: str, outcomes: Outcomes) -> _ScenarioResult:
    bad = outcomes.verdict == FAIL
    delays = outcomes.at_s[bad] + scenario.lag_s - scenario.onset_s
    passed, undecided = (float(np.mean(outcomes.verdict == verdict)) for verdict in (PASS, UNDECIDED))
    return _ScenarioResult(scenario, rule, float(bad.mean()), passed, undecided, delays[delays > 0])


def _of(
    found: Iterable[_ScenarioResult], *truths: Truth, rule: str = "", name: str = "", rpm: float = 0
) -> list[_ScenarioResult]:
    """Those of these truths (any, where none is given) and this rule, from `rpm` on, whose names begin with `name`."""
    return [
        result
        for result in found
        if (not truths or result.scenario.truth in truths)
        and (not rule or result.rule == rule)
        and result.scenario.name.startswith(name)
        and result.scenario.rpm >= rpm
    ]


def _pooled(found: Sequence[_ScenarioResult]) -> str:
    rules = list(dict.fromkeys(result.rule for result in found))
    healthy, troubled, severe, moderate = (
        _of(found, truth) for truth in (Truth.HEALTHY, Truth.TROUBLED, Truth.SEVERE, Truth.MODERATE)
    )
    bursts = [result for result in troubled if " for " in result.scenario.name]
    certain = [*_of(severe, name="20% errors", rpm=1000), *_of(severe, name="100% errors", rpm=1000)]
    subtle = [result for result in _of(found, name="2% errors") if result.scenario.rpm == 1000]
    rows = (
        ("healthy: false alarms", healthy, "bad"),
        ("healthy: undecided", healthy, "undecided"),
        ("troubled: false alarms", troubled, "bad"),
        ("bursts of 60 s at most: false alarms", bursts, "bad"),
        ("errors in spells: false alarms", _of(troubled, name="0.5 % that wander"), "bad"),
        ("severe faults: passed", severe, "passed"),
        ("severe faults: undecided", severe, "undecided"),
        ("moderate faults: passed", moderate, "passed"),
        ("moderate faults: undecided", moderate, "undecided"),
        ("20 and 100 % errors, 1000 rpm and more: delay", certain, "delay"),
        ("2 % errors, 1000 rpm: delay", subtle, "delay"),
    )
    cells = ([title, *(_cell(_of(results, rule=rule), kind) for rule in rules)] for title, results, kind in rows)
    return text_table([["", *rules], *cells])


def _each(found: Sequence[_ScenarioResult]) -> str:
    rules = dict.fromkeys(result.rule for result in found)
    rows = [["scenario: bad % / undecided %, median/p95 delay s", "rpm", *rules]]
    for (name, rpm), results in groupby(found, lambda result: (result.scenario.name, result.scenario.rpm)):
        rows.append([name, f"{rpm:,}", *map(_short, results)])
    return text_table(rows)


def _cell(results: Sequence[_ScenarioResult], kind: str) -> str:
    if kind == "delay":
        delays = np.concatenate([result.delays for result in results])
        return f"{np.median(delays):.0f} / {np.percentile(delays, 95):.0f} s" if len(delays) else "never"
    return _percent(float(np.mean([getattr(result, kind) for result in results])))


def _short(result: _ScenarioResult) -> str:
    text = f"{100 * result.bad:.3g}/{100 * result.undecided:.3g}"
    alarm = result.scenario.truth in {Truth.HEALTHY, Truth.TROUBLED}
    return text if alarm or not len(result.delays) else f"{text} {result.delay(50):.0f}/{result.delay(95):.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _figures(found: Sequence[_ScenarioResult]) -> list[Figure]:
    judges = [result for result in found if result.rule in {_OURS, _OURS_60}]
    healthy, severe = _of(judges, Truth.HEALTHY), _of(judges, Truth.SEVERE)

    def worst(title: str, results: Sequence[_ScenarioResult], kind: str, limit: float | None) -> Figure:
        most = max(results, key=lambda result: getattr(result, kind))
        where = f"worst of {len(results)}: {most.scenario.name}, {most.scenario.rpm:,} rpm, {most.rule}"
        return Figure(title, round(100 * getattr(most, kind), 3), limit, "%", where)

    def delay(title: str, name: str, rule: str, percentile: float, limit: float | None) -> Figure:
        results = _of(judges, rule=rule)
        (result,) = (each for each in results if (each.scenario.name, each.scenario.rpm) == (name, 1000))
        return Figure(title, result.delay(percentile), limit, "s", rule)

    undecided = round(100 * float(np.mean([result.undecided for result in healthy])), 2)
    early = [result for result in severe if result.scenario.onset_s <= _WATCH_S - _BURST_S]
    late = [result for result in severe if result.scenario.onset_s > _WATCH_S - _BURST_S]
    return [
        worst("healthy: false roll-back", healthy, "bad", 0.1),
        worst("troubled: false roll-back", _of(judges, Truth.TROUBLED), "bad", 0.1),
        worst("errors in spells: false roll-back", _of(judges, name="0.5 % that wander"), "bad", 0.1),
        worst("severe fault passed", early, "passed", 0),
        worst("- begun in the last two minutes", late, "passed", None),
        worst("2 % errors at 60 rpm or more passed", _of(judges, name="2% errors", rpm=60), "passed", 1),
        delay("20 % errors, 1000 rpm: found, p95", "20% errors", _OURS, 95, 80),
        delay("20 % errors, 1000 rpm: found, p95", "20% errors", _OURS_60, 95, 120),
        delay("2 % errors, 1000 rpm: found, median", "2% errors", _OURS, 50, 350),
        delay("- in blocks of 60 s", "2% errors", _OURS_60, 50, None),
        Figure("healthy: undecided, pooled", undecided, 15, "%", "neither pass nor fail after 30 minutes"),
    ]

"""The rules that are compared: those of the field, and our judge over many runs at once.

Every rule answers with a verdict for each run and when it was reached. What the field's rules do with a limit:

- literal: the checklist's. Five minutes in a row above 5 % (severe requests), or above the limit over all at the end.
- Argo Rollouts: a measurement a minute, failed when above the limit; aborts when more than `failureLimit` have failed.
- Flagger: the same, and rolls back at the tick after the fifth failed one.
- burn rate: the last five minutes and the last minute above 1.44 times the limit (14.4 times a tenth of it, Google's
  SRE workbook, chapter 5).
- Kayenta: at the end, a Mann-Whitney test of the minutes against those of the old revision at the same time: the lower
  end of the 98 % interval of the shift above a quarter of its estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.judge.scenarios import BLOCK_S, MINUTE, WATCH, Blocks, Bools, Floats, Ints, Scenario
from verification.judge import sequential_test as ev
from verification.judge.proportion import (
    END_ALPHA,
    FAIL_ALPHA,
    LATE_ALPHA,
    MOST_MISSING,
    ROLL_BACK_ALPHA,
    TWICE_ALPHA,
    ProportionRule,
)

UNDECIDED, PASS, FAIL = 0, 1, 2
_WATCH_S = WATCH * BLOCK_S


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of each run: the verdict, and the second of the watch at which it was reached."""

    verdict: Ints
    at_s: Floats

    def where_undecided(self, other: Outcomes) -> Outcomes:
        """These, with the verdict of `other` where they have none (unless there is none either)."""
        empty = self.verdict == UNDECIDED
        return Outcomes(np.where(empty, other.verdict, self.verdict), np.where(empty, other.at_s, self.at_s))


def rivals(scenario: Scenario, blocks: Blocks, rng: np.random.Generator) -> dict[str, Outcomes]:
    """The rules of the field on the first 15 minutes."""
    minutes = blocks.first(WATCH).merged(MINUTE)
    severe, over = _share(minutes.severe, minutes), _share(minutes.over, minutes)
    failed = over > scenario.limit
    total = minutes.total.sum(axis=1)
    too_many = minutes.over.sum(axis=1) >= scenario.limit * np.maximum(total, 1)
    found = {"literal": _first(_run_of(severe > 0.05, 5), too_many)}
    for allowed in (0, 1, 3):
        found[f"Argo {allowed}"] = _first(failed.cumsum(axis=1) > allowed)
    fifth = failed.cumsum(axis=1) >= 5
    late = np.concatenate((np.zeros((len(fifth), 1), dtype=bool), fifth[:, :-1]), axis=1)
    found["Flagger"] = _first(late, fifth[:, -1])
    five = Blocks(_last(minutes.total, 5), _last(minutes.over, 5), _last(minutes.severe, 5), minutes.missing)
    burns = (_share(five.over, five) > 1.44 * scenario.limit) & (over > 1.44 * scenario.limit)
    found["burn rate"] = _first(burns)
    found["Kayenta"] = _kayenta(scenario, over, rng)
    return found


def ours(rule: ProportionRule, blocks: Blocks) -> Outcomes:
    """Our judge, extended once to twice the watch where that is undecided. Held equal to the real one by a test."""
    runs, length = blocks.total.shape
    verdict, at_s = np.full(runs, UNDECIDED), np.full(runs, length * rule.block_s)
    alive = np.arange(runs)
    limits = [(rule.roll_back_at, rule.burst_roll_back_s, ROLL_BACK_ALPHA), (rule.limit, rule.burst_fail_s, FAIL_ALPHA)]
    limits += [] if rule.baseline_limit is None else [(rule.baseline_limit, rule.burst_fail_s, FAIL_ALPHA)]
    processes = [ev.Evidence.start(rule.burst_blocks(burst), rule.blocks, runs=(runs,)) for _, burst, _ in limits]
    literal = _literal(rule, blocks)
    for block in range(length):
        total = blocks.total[alive, block]
        certain = literal[alive, block]
        for index, (limit, _, alpha) in enumerate(limits):
            bad = (blocks.over if index else blocks.severe)[alive, block]
            ratios = ev.share_ratios(bad, total, limit, rule.dispersion.at_most)
            processes[index] = processes[index].after(ratios, total > 0)
            certain |= processes[index].log >= -np.log(alpha)
        verdict[alive[certain]] = FAIL
        decided = certain
        if (block + 1) * rule.block_s in {_WATCH_S, length * rule.block_s}:
            ends = _at_end(rule, blocks.first(block + 1), alive)
            verdict[alive[~certain]] = ends[~certain]
            decided = certain | (ends != UNDECIDED)
        at_s[alive[decided]] = (block + 1) * rule.block_s
        alive, processes = alive[~decided], [_only(evidence, ~decided) for evidence in processes]
        if not len(alive):
            break
    return Outcomes(verdict, at_s)


def _at_end(rule: ProportionRule, blocks: Blocks, runs: Ints) -> Ints:
    total, over, missing = blocks.total[runs], blocks.over[runs], blocks.missing[runs]
    burst = rule.burst_blocks(rule.burst_fail_s)
    every, bad = total.sum(axis=1), over.sum(axis=1)
    proven = ev.lower_bound_outside_burst(over, total, burst, END_ALPHA, rule.dispersion.at_most) > rule.limit
    worse = ev.lower_bound_lately(over, total, burst, LATE_ALPHA, rule.dispersion.at_most)
    good = (every >= max(1, rule.minimum)) & (missing.sum(axis=1) <= MOST_MISSING * missing.shape[1])
    good &= (bad / np.maximum(every, 1) < rule.limit) & (worse <= rule.limit)
    good &= (bad == 0) | (ev.upper_bound(bad, every, TWICE_ALPHA, rule.dispersion.likely) < 2 * rule.limit)
    return np.where(proven, FAIL, np.where(good, PASS, UNDECIDED))


def _literal(rule: ProportionRule, blocks: Blocks) -> Bools:
    """Whether the literal rule holds when a block is closed."""
    samples = blocks.merged(rule.sample_blocks)
    above = _run_of(_share(samples.severe, samples) > rule.roll_back_at, rule.samples)
    found = np.zeros(blocks.total.shape, dtype=bool)
    found[:, rule.sample_blocks - 1 :: rule.sample_blocks] = above
    return found


def _only(evidence: ev.Evidence, runs: Bools) -> ev.Evidence:
    return replace(
        evidence,
        unbroken=evidence.unbroken[runs],
        unbroken_seen=evidence.unbroken_seen[runs],
        placed=evidence.placed[runs],
        placed_seen=evidence.placed_seen[runs],
    )


def _kayenta(scenario: Scenario, over: Floats, rng: np.random.Generator) -> Outcomes:
    total, bad = scenario.normal_minutes(len(over), rng)
    size = over.shape[1]
    control = bad[:, :size] / np.maximum(total[:, :size], 1)
    ours = np.where(np.isnan(over), np.nanmedian(over, axis=1, keepdims=True), over)
    shifts = np.sort((ours[:, :, None] - control[:, None, :]).reshape(len(over), -1), axis=1)
    place = int(size**2 / 2 - 2.326 * np.sqrt(size**2 * (2 * size + 1) / 12))
    bad_at_end = shifts[:, place - 1] > 0.25 * np.abs(np.median(shifts, axis=1))
    return _first(np.zeros(over.shape, dtype=bool), bad_at_end)


def _share(counts: Ints, blocks: Blocks) -> Floats:
    """Shares; NaN, which is above nothing, where there was no request."""
    return np.where(blocks.total > 0, counts / np.maximum(blocks.total, 1), np.nan)


def _run_of(above: Bools, length: int) -> Bools:
    """Where the last `length` samples are all above."""
    return np.asarray(_last(above.astype(np.int64), length) == length)


def _last(counts: Ints, length: int) -> Ints:
    """The sums of the last `length` samples, fewer at the beginning."""
    sums = counts.cumsum(axis=1)
    return np.asarray(sums - np.pad(sums, ((0, 0), (length, 0)))[:, : sums.shape[1]])


def _first(fired: Bools, at_end: Bools | None = None) -> Outcomes:
    """A fail at the first minute that fired, or at the end; a pass otherwise."""
    early = fired.any(axis=1)
    at_s = np.where(early, (fired.argmax(axis=1) + 1) * 60.0, _WATCH_S)
    failed = early if at_end is None else early | at_end
    return Outcomes(np.where(failed, FAIL, PASS), at_s)

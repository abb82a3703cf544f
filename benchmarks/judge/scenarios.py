"""Simulated watches whose truth is known: requests in blocks of 10 s over half an hour, many runs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

BLOCK_S = 10
WATCH = 90  # blocks: 15 minutes
MOST = 180  # with its extension
MINUTE = 60 // BLOCK_S
SYNTHETIC_RPM = 30  # our own probes: one every two seconds
_BASELINE_MINUTES = 30
_STAYS = 0.95  # how much of the logarithm of a wandering share is left in the next block
_SPREAD = 0.6  # of the logarithm of the latencies
_P95 = NormalDist().inv_cdf(0.95)


class Truth(StrEnum):
    """What would be right."""

    HEALTHY = "healthy"
    TROUBLED = "troubled"  # healthy, with bursts, gaps or clusters that must not be taken for a fault
    MODERATE = "moderate"  # beyond the limit
    SEVERE = "severe"  # beyond what rolls back at once
    EITHER = "either"  # shown only


@dataclass(frozen=True, slots=True)
class Blocks:
    """Counts (runs, blocks); `missing` where nobody can know them."""

    total: Ints
    over: Ints
    severe: Ints
    missing: Bools

    def merged(self, size: int) -> Blocks:
        """The same in blocks of `size`; one of which a part is missing is missing."""

        def add(counts: Ints) -> Ints:
            return np.where(gaps, 0, counts.reshape(len(counts), -1, size).sum(axis=-1))

        gaps = np.asarray(self.missing.reshape(len(self.missing), -1, size).any(axis=-1))
        return Blocks(add(self.total), add(self.over), add(self.severe), gaps)

    def first(self, blocks: int) -> Blocks:
        """The first blocks only."""
        return self._of((slice(None), slice(blocks)))

    def of(self, runs: slice) -> Blocks:
        """Some of the runs."""
        return self._of((runs, slice(None)))

    def _of(self, place: tuple[slice, slice]) -> Blocks:
        return Blocks(self.total[place], self.over[place], self.severe[place], self.missing[place])


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of watch: the shares of bad and of severe requests of each block, and how they are counted."""

    name: str
    truth: Truth
    rpm: float
    over: Floats
    severe: Floats
    limit: float = 0.01
    onset_s: float = 0
    lag_s: float = 0
    missing: float = 0.0  # the share of minutes
    clusters: float = 0.0  # how much the share varies from minute to minute (its variation coefficient)
    wander: float = 0.0  # sigma of the logarithm of the share, which goes its way from block to block
    repeats: int = 1  # how often each bad request is counted
    before: float | None = None  # the share of bad requests before the deployment, where that is not the same
    compared: bool = False  # whether the judge is told of the baseline

    def simulate(self, runs: int, rng: np.random.Generator, rpm: float | None = None) -> Blocks:
        """Draw `runs` watches."""
        total = np.asarray(rng.poisson((rpm or self.rpm) / MINUTE, (runs, MOST)), dtype=np.int64)
        vary = self._varied(rng, runs, MOST // MINUTE)
        over = self._bad(rng, total, np.minimum(self.over * vary, 1))
        same = self.severe is self.over
        severe = over if same else rng.binomial(over, np.minimum(1, self.severe / np.maximum(self.over, 1e-12)))
        missing = (rng.random((runs, MOST // MINUTE)) < self.missing).repeat(MINUTE, axis=1)
        hide = np.where(missing, 0, 1)
        return Blocks(total * hide, over * hide, severe * hide, missing)

    def normal_minutes(
        self, runs: int, rng: np.random.Generator, minutes: int = _BASELINE_MINUTES
    ) -> tuple[Ints, Ints]:
        """The minutes (runs, minutes) before the deployment: requests, and bad ones."""
        share = self.before if self.before is not None else float(self.over[-1])
        total = np.asarray(rng.poisson(self.rpm, (runs, minutes)), dtype=np.int64)
        vary = self._varied(rng, runs, minutes).reshape(runs, minutes, MINUTE).mean(axis=-1)
        return total, self._bad(rng, total, np.minimum(share * vary, 1))

    def _varied(self, rng: np.random.Generator, runs: int, minutes: int) -> Floats:
        """What the shares of the blocks (runs, blocks) are multiplied by; 1 on average."""
        if self.wander:
            return _wandering(rng, (runs, minutes * MINUTE), self.wander)
        if not self.clusters:
            return np.ones((runs, minutes * MINUTE))
        form = self.clusters**-2
        return rng.gamma(form, 1 / form, (runs, minutes)).repeat(MINUTE, axis=1)

    def _bad(self, rng: np.random.Generator, total: Ints, share: Floats) -> Ints:
        if self.repeats == 1:
            return np.asarray(rng.binomial(total, share), dtype=np.int64)
        return np.asarray(rng.binomial(total // self.repeats, share) * self.repeats, dtype=np.int64)


def _wandering(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Factors whose logarithm is an AR(1): bad minutes follow bad minutes."""
    from scipy.signal import lfilter

    steps = rng.normal(0, sigma * np.sqrt(1 - _STAYS**2), shape)
    steps[:, 0] = rng.normal(0, sigma, shape[0])
    return np.asarray(np.exp(lfilter([1], [1, -_STAYS], steps, axis=1) - sigma**2 / 2), dtype=float)


def scenarios() -> list[Scenario]:
    """All of them."""
    return [*_healthy(), *_troubled(), *_faulty(), *_late(), *_hidden(), *_compared()]


def _healthy() -> list[Scenario]:
    found = []
    for rpm in (5, 60, 1000, 50_000):
        shares = (0.001, 0.005, 0.009)
        found += [_errors(f"{share:.1%} errors", Truth.HEALTHY, rpm, share, before=None) for share in shares]
        found.append(_latency("P95 450 ms", Truth.HEALTHY, rpm, 450))
    return found


def _troubled() -> list[Scenario]:
    found = [
        _errors(f"{share:.0%} errors for {seconds} s", truth, 1000, _from(300, share, 300 + seconds), onset_s=300)
        for share in (0.2, 1.0)
        for seconds, truth in ((20, Truth.TROUBLED), (60, Truth.TROUBLED), (150, Truth.EITHER))
    ]
    cold_start = _from(0, 0.3, 30)
    found += [_errors("cold start, 30 % for 30 s", Truth.TROUBLED, rpm, cold_start) for rpm in (60, 1000, 50_000)]
    found += [_steady("0.5 % in clusters", rpm, 0.005, clusters=0.7) for rpm in (60, 1000, 50_000)]
    found += [_steady("0.5 % that wander", rpm, 0.005, wander=1.0) for rpm in (60, 1000, 50_000)]
    found += [_steady("0.5 % counted 3 times", rpm, 0.005, repeats=3) for rpm in (60, 1000)]
    found += [_steady(f"0.5 %, {gaps:.0%} missing", 1000, 0.005, missing=gaps) for gaps in (0.1, 0.2, 0.3)]
    return found


def _faulty() -> list[Scenario]:
    found = []
    for rpm in (5, 60, 1000, 50_000):
        for share in (0.02, 0.05, 0.2, 1.0):
            truth = Truth.SEVERE if share > 0.05 else Truth.MODERATE
            found.append(_errors(f"{share:.0%} errors", truth, rpm, share))
        found.append(_latency("P95 700 ms", Truth.MODERATE, rpm, 700))
        found.append(_latency("P95 3000 ms", Truth.SEVERE, rpm, 3000))
    return found


def _late() -> list[Scenario]:
    found = [
        _errors(f"20 % errors from {at} s on", Truth.SEVERE, rpm, _from(at, 0.2), onset_s=at)
        for at in (300, 600, 840, 870)
        for rpm in (60, 1000)
    ]
    ramp = np.minimum(0.001 + np.arange(MOST) * BLOCK_S / 600 * 0.2, 0.2)
    return [*found, *(_errors("a ramp to 20 % in 600 s", Truth.SEVERE, rpm, ramp) for rpm in (60, 1000))]


def _hidden() -> list[Scenario]:
    return [
        *(_severe(f"20 % errors, {gaps:.0%} missing", missing=gaps) for gaps in (0.1, 0.2, 0.3)),
        *(_severe(f"20 % errors, {lag} s late", lag_s=lag) for lag in (60, 180)),
        _severe("20 % errors in clusters", clusters=0.7, before=0.005),
        _severe("20 % errors counted 3 times", repeats=3, before=0.005),
    ]


def _compared() -> list[Scenario]:
    return [
        *(_steady("0.05 % as before", rpm, 0.0005, compared=True) for rpm in (60, 1000, 50_000)),
        _steady("0.5 % in clusters, as before", 1000, 0.005, clusters=0.7, compared=True),
        _errors("0.05 % before, 0.5 % now", Truth.EITHER, 1000, 0.005, before=0.0005, compared=True),
    ]


def _severe(name: str, **more: float | None) -> Scenario:
    return _errors(name, Truth.SEVERE, 1000, 0.2, **more)


def _steady(name: str, rpm: float, share: float, **more: float | bool) -> Scenario:
    """Troubled, but as it was before the deployment."""
    return _errors(name, Truth.TROUBLED, rpm, share, before=None, **more)


def _from(start_s: float, share: float, end_s: float = float("inf")) -> Floats:
    """A share that holds from `start_s` to `end_s`; .1 % outside."""
    times = np.arange(MOST) * BLOCK_S
    return np.where((times >= start_s) & (times < end_s), share, 0.001)


def _errors(name: str, truth: Truth, rpm: float, share: float | Floats, **more: float | bool | None) -> Scenario:
    shares = np.broadcast_to(np.asarray(share, dtype=float), (MOST,))
    build: Callable[..., Scenario] = Scenario
    return build(name=name, truth=truth, rpm=rpm, over=shares, severe=shares, **{"before": 0.001, **more})


def _latency(name: str, truth: Truth, rpm: float, p95_ms: float) -> Scenario:
    def above(limit_ms: float, of: float) -> float:
        return 1 - NormalDist().cdf(_P95 + float(np.log(limit_ms / of)) / _SPREAD)

    over, severe = np.full(MOST, above(500, p95_ms)), np.full(MOST, above(2000, p95_ms))
    before = None if truth is Truth.HEALTHY else above(500, 400)
    return Scenario(name, truth, rpm, over, severe, limit=0.05, before=before)

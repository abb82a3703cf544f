"""Evidence that may be looked at after every block: the mathematics beneath the judge, and nothing else.

`Evidence` is an e-process: under the null hypothesis its expectation never exceeds one, so that by Ville's inequality
P(it ever reaches 1 / alpha) <= alpha, however often it is looked at. The null hypothesis is "no block is worse than the
limit, except in one burst of at most `burst` blocks in a row, wherever it lies". For each place of that burst there is
one process, over the blocks outside of it; the smallest of them is the evidence.

Sources: Wald, Sequential Tests of Statistical Hypotheses (1945): the likelihood ratio. Robbins, Statistical Methods
Related to the Law of the Iterated Logarithm (1970): mixtures of them. Howard, Ramdas, McAuliffe and Sekhon,
Time-uniform, Nonparametric, Nonasymptotic Confidence Sequences (2021). Shin, Ramdas and Rinaldo, E-detectors (2022): a
change that may begin at any block. Lindon, Sanden and Shirikian, Rapid Regression Detection in Software Deployments
(KDD 2022). Clopper and Pearson (1934): the exact bounds.

All functions take arrays with any leading shape, so that a benchmark judges many runs at once by this same code. NumPy
and SciPy are imported with this module, which is why the judges import it only when one starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

_FIRST = 0.5  # how much of the weight lies on "bad from the first block on"; the rest is even over the later ones
FACTORS = (1.2, 1.6, 3.0, 8.0, 19.0)  # how much worse than the limit, from hardly to hopelessly
_MOST = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The logarithms of the processes so far: `unbroken` (..., k) for a burst still to come, `placed` (..., g, k).

    k counts the alternatives, g the blocks at which the burst may have begun. `*_seen` is how many blocks each process
    has observed: its own, so that "from the first block on" means the first block outside of the burst.
    """

    burst: int
    horizon: int
    unbroken: Floats
    unbroken_seen: Floats
    placed: Floats
    placed_seen: Floats

    @classmethod
    def start(cls, burst: int, horizon: int, alternatives: int = len(FACTORS), runs: tuple[int, ...] = ()) -> Evidence:
        """No evidence yet, for a watch of at most `horizon` blocks that tolerates a burst of `burst` blocks."""
        return cls(
            burst=burst,
            horizon=horizon,
            unbroken=np.full((*runs, alternatives), -np.inf),
            unbroken_seen=np.zeros(runs),
            placed=np.empty((*runs, 0, alternatives)),
            placed_seen=np.empty((*runs, 0)),
        )

    def after(self, ratios: Floats, observed: ArrayLike) -> Evidence:
        """The evidence after one more block: `ratios` (..., k) are the logarithms of its likelihood ratios.

        A block that was not observed (missing, or without a request) takes time and adds nothing, neither way.
        """
        seen = np.asarray(observed, dtype=bool)
        unbroken, unbroken_seen = self._step(self.unbroken, self.unbroken_seen, ratios, seen)
        placed, placed_seen = self.placed, self.placed_seen
        if self.burst:
            ended = max(0, placed.shape[-2] - self.burst + 1)  # bursts that were over before this block
            later, later_seen = self._step(
                placed[..., :ended, :], placed_seen[..., :ended], ratios[..., None, :], seen[..., None]
            )
            # The burst that begins with this block covers it: it carries on from what came before.
            placed = np.concatenate((later, placed[..., ended:, :], self.unbroken[..., None, :]), axis=-2)
            placed_seen = np.concatenate((later_seen, placed_seen[..., ended:], self.unbroken_seen[..., None]), axis=-1)
        return Evidence(self.burst, self.horizon, unbroken, unbroken_seen, placed, placed_seen)

    def after_gap(self) -> Evidence:
        """The evidence after a block that is missing."""
        return self.after(np.zeros_like(self.unbroken), np.zeros(self.unbroken_seen.shape, dtype=bool))

    @property
    def log(self) -> Floats:
        """The logarithm of the evidence: the mean over the alternatives, at the burst that explains most."""
        return np.asarray(np.minimum(_log_mean(self.placed).min(axis=-1, initial=np.inf), _log_mean(self.unbroken)))

    def reaches(self, alpha: float) -> bool:
        """Whether the null hypothesis is rejected at `alpha`; for one run."""
        return bool(self.log >= -np.log(alpha))

    def _step(self, log: Floats, seen: Floats, ratios: Floats, observed: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        later = np.log((1 - _FIRST) / max(1, self.horizon - 1))
        begins = np.where(seen[..., None] == 0, np.log(_FIRST), later)
        after = np.logaddexp(log, begins) + ratios
        return np.where(observed[..., None], after, log), seen + observed


def _log_mean(logs: Floats) -> Floats:
    """The logarithm of the mean over the last axis."""
    most = np.maximum(logs.max(axis=-1, keepdims=True), np.finfo(np.float64).min)  # no infinity less another one
    # Added one by one: over so short an axis, many times faster than `logaddexp.reduce`.
    total = sum(np.exp(logs[..., k] - most[..., 0]) for k in range(logs.shape[-1]))
    with np.errstate(divide="ignore"):
        return np.asarray(most[..., 0] + np.log(total / logs.shape[-1]))


def alternatives(limit: float) -> Floats:
    """The shares (k,) that a share of `limit` is held against; all above it. Raises ValueError at .95 and above."""
    if not 0 < limit < _MOST:
        raise ValueError(f"a limit of {limit:g} leaves nothing that is worse: expected more than 0, less than {_MOST}")
    return np.minimum(np.array(FACTORS) * limit, _MOST)


def share_ratios(bad: ArrayLike, total: ArrayLike, limit: float, dispersion: float = 1.0) -> Floats:
    """Log likelihood ratios (..., k) of `bad` of `total`, against `limit`; tempered by the dispersion, 1 at least."""
    return ratios_against(alternatives(limit), bad, total, limit, dispersion)


def ratios_against(
    shares: ArrayLike, bad: ArrayLike, total: ArrayLike, limit: float, dispersion: float = 1.0
) -> Floats:
    """The same for `shares` (k) of one's own choice, each between the limit and one."""
    worse = np.asarray(shares, dtype=float)
    wrong, right = np.asarray(bad, dtype=float), np.asarray(total, dtype=float) - np.asarray(bad, dtype=float)
    gain = np.multiply.outer(wrong, np.log(worse / limit))
    loss = np.multiply.outer(right, np.log1p(-worse) - np.log1p(-limit))
    return np.asarray((gain + loss) / dispersion)


def count_ratios(count: ArrayLike, expected: ArrayLike, factors: ArrayLike, dispersion: float = 1.0) -> Floats:
    """Log likelihood ratios (..., k) of a Poisson count, `factors` (k) times as many against as many as `expected`."""
    times = np.asarray(factors, dtype=float)
    gain = np.multiply.outer(np.asarray(count, dtype=float), np.log(times))
    return np.asarray((gain - np.multiply.outer(np.asarray(expected, dtype=float), times - 1)) / dispersion)


def lower_bound(bad: ArrayLike, total: ArrayLike, alpha: float, dispersion: float = 1.0) -> Floats:
    """The exact lower bound of a share; zero where nothing was bad. Dispersed counts count for fewer."""
    wrong, right = _effective(bad, total, dispersion)
    return np.where(wrong > 0, special.betaincinv(np.where(wrong > 0, wrong, 1.0), right + 1, alpha), 0.0)


def upper_bound(bad: ArrayLike, total: ArrayLike, alpha: float, dispersion: float = 1.0) -> Floats:
    """The exact upper bound of a share; one where nothing was good, or nothing observed."""
    wrong, right = _effective(bad, total, dispersion)
    return np.where(right > 0, special.betaincinv(wrong + 1, np.where(right > 0, right, 1.0), 1 - alpha), 1.0)


def lower_bound_outside_burst(
    bad: ArrayLike, total: ArrayLike, burst: int, alpha: float, dispersion: float = 1.0
) -> Floats:
    """The exact lower bound over blocks (..., t), without the `burst` blocks in a row that explain most of it."""
    wrong, every = _outside(np.asarray(bad, dtype=float), burst), _outside(np.asarray(total, dtype=float), burst)
    return np.asarray(lower_bound(wrong, every, alpha, dispersion).min(axis=-1))


def lower_bound_lately(bad: ArrayLike, total: ArrayLike, burst: int, alpha: float, dispersion: float = 1.0) -> Floats:
    """The greatest of the exact lower bounds (...) over the last block, the last two, ..., the last `burst`."""
    recent = (..., slice(None, -max(1, burst) - 1, -1))
    wrong, every = (np.asarray(counts, dtype=float)[recent].cumsum(axis=-1) for counts in (bad, total))
    return np.asarray(lower_bound(wrong, every, alpha, dispersion).max(axis=-1))


def count_bounds(count: float, alpha: float, dispersion: float = 1.0) -> tuple[float, float]:
    """The exact bounds (Garwood 1936), each at `alpha`, of a Poisson expectation of which `count` were seen."""
    effective = count / dispersion
    low = float(special.gammaincinv(effective, alpha)) if effective else 0.0
    return dispersion * low, dispersion * float(special.gammaincinv(effective + 1, 1 - alpha))


def _outside(counts: Floats, burst: int) -> Floats:
    """The sums (..., g) of blocks (..., t) outside of each window of `burst` blocks."""
    before = np.concatenate((np.zeros((*counts.shape[:-1], 1)), counts.cumsum(axis=-1)), axis=-1)
    width = min(burst, counts.shape[-1])
    inside = before[..., width:] - before[..., : before.shape[-1] - width]
    return np.asarray(before[..., -1:] - inside)


def _effective(bad: ArrayLike, total: ArrayLike, dispersion: float) -> tuple[Floats, Floats]:
    wrong = np.asarray(bad, dtype=float) / dispersion
    return wrong, np.asarray(total, dtype=float) / dispersion - wrong

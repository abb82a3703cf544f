"""Whether a question that failed is answered badly too often: a test that may be looked at after every answer.

`Answers` are counted, not ordered. The evidence that their share of bad ones is above the limit is the likelihood ratio
of each greater share against the limit, averaged evenly over all greater shares. Were no more bad than the limit, its
expectation would never exceed one, so that by Ville's inequality P(it ever reaches 1 / ALPHA) <= ALPHA, however often
it is looked at. At a limit of 1 %, three bad of three are certain; so are 3 of 5, 4 of 13, 6 of 30.

Pure, and of the standard library, but for the bounds: what is asked once more must not wait for SciPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p

from verification.judge.judgement import is_count, percent

ALPHA = 1e-4  # so rarely is a service that is within the limit found to be beyond it
BOUND_ALPHA = 0.05
_COMPARED_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to a question, and the share of bad ones that is allowed. Raises ValueError for what cannot be."""

    bad: int
    total: int
    limit: float

    def __post_init__(self) -> None:
        if not (is_count(self.bad) and is_count(self.total) and self.bad <= self.total):
            raise ValueError(f"expected bad answers of a total, not {self.bad} of {self.total}")
        if not 0 < self.limit < 1:
            raise ValueError(f"expected a limit between 0 and 1, not {self.limit}")

    def after(self, *, good: bool) -> Answers:
        """The answers with one more."""
        return Answers(self.bad + (not good), self.total + 1, self.limit)

    @property
    def certain(self) -> bool:
        """Whether more are bad than the limit allows; once in 10,000 that is said of a service that is within it."""
        return self.log_evidence >= -log(ALPHA)

    def is_better_than(self, other: Answers) -> bool:
        """Whether fewer of these are bad than of `other`, by more than chance (Fisher's exact test, 5 % one-sided)."""
        n, m, bad = self.total, other.total, self.bad + other.bad
        possible = range(max(bad - m, 0), self.bad + 1)
        tail = sum(exp(_log_ways(n, k) + _log_ways(m, bad - k) - _log_ways(n + m, bad)) for k in possible)
        return bool(n) and tail <= _COMPARED_ALPHA * (1 + 1e-9)  # three good ones against three bad ones are 5 %

    @property
    def log_evidence(self) -> float:
        """The logarithm of the averaged likelihood ratio: P(Bin(n + 1) <= bad) / ((n + 1) (1 - limit) P(Bin(n) = bad)).

        That is what the integral over all shares above the limit comes to.
        """
        n, limit = self.total, self.limit
        at_most = sum(exp(_log_binomial(bad, n + 1, limit)) for bad in range(self.bad + 1))
        if not at_most:
            return -inf
        return log(at_most) - log(n + 1) - log1p(-limit) - _log_binomial(self.bad, n, limit)

    @property
    def lower_bound(self) -> float:
        """At least so many are bad, with 95 % confidence (exact, for one look)."""
        from verification.judge.sequential_test import lower_bound

        return float(lower_bound(self.bad, self.total, BOUND_ALPHA))

    @property
    def upper_bound(self) -> float:
        """At most so many are bad, with 95 % confidence (exact, for one look); 1 where none was good."""
        from verification.judge.sequential_test import upper_bound

        return float(upper_bound(self.bad, self.total, BOUND_ALPHA))

    @property
    def text(self) -> str:
        """`2 of 30 failed, at most 19.5 %`, or, once that is certain, `3 of 3 failed, at least 36.8 %`."""
        bound = f"at least {percent(self.lower_bound)}" if self.certain else f"at most {percent(self.upper_bound)}"
        return f"{self.bad} of {self.total} failed, {bound}"


def _log_binomial(bad: int, total: int, share: float) -> float:
    """The logarithm of the probability of `bad` of `total`, at a share between 0 and 1."""
    return _log_ways(total, bad) + bad * log(share) + (total - bad) * log1p(-share)


def _log_ways(total: int, chosen: int) -> float:
    """The logarithm of the number of ways to choose so many of a total."""
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)

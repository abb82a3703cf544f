"""What a judge says: a verdict, or none yet, with the reason in words and the figures behind it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from verification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """The counts of a stream of blocks, and the exact one-sided confidence bounds of what they are a sample of.

    A judge of proportions: `bad` of `total` requests are surely over the limit. `lower_bound` (99.75 %) is of the share
    of requests that surely are, `upper_bound` (95 %) of the share that possibly are; 0 to 1 (Clopper and Pearson).
    A judge of rates: `bad` and `total` are both the count; the bounds are of the count per second (Garwood), at the
    same confidences. Bounds are None where nothing was observed.
    """

    bad: int
    total: int
    missing: int  # blocks that were not observed
    blocks: int  # all of them, the missing ones too
    lower_bound: float | None
    upper_bound: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from what was observed so far, of a stream of blocks or of a criterion under watch.

    `verdict` is None while, or where, it is undecided. `observed` is False when that is because too little was seen,
    True when the service itself is ambiguous. `rule` names what decided: "literal", "certain", "exact bound",
    "baseline", "confident", "minimum", ...; only the judges of blocks have several, and `figures`.
    """

    verdict: Verdict | None = None
    reason: str = ""
    roll_back: bool = False  # at once, without waiting for the end
    observed: bool = True
    rule: str = ""
    figures: BlockFigures | None = None


UNDECIDED = Judgement()


def is_count(value: object) -> bool:
    """Whether a value can be a number of things: whole, finite, 0 or more, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isfinite(value) and value >= 0 and value == int(value)


def percent(share: float) -> str:
    """A share that was measured: `20.0 %`, `1.04 %` (which is more than 1 %), `0.012 %`."""
    if share >= 0.1 or not share:
        return f"{100 * share:.1f} %"
    return f"{100 * share:.2f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def plain_percent(share: float) -> str:
    """A share that somebody set, to the digit: `1 %`, `99.55 %`."""
    return f"{100 * share:.6g} %"

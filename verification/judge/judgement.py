"""What a judge finds: a verdict, or none yet, with the numbers and the rule behind it, in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from verification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """What follows from the blocks so far. `verdict` is None while, or where, it is undecided.

    `observed` is False when it is undecided because too little was observed, True when the service itself is ambiguous.
    `bad` of `total` are what is surely over the limit; `lower` and `upper` are exact bounds, of that share at 99.75 %
    and of what is possibly over the limit at 95 %. They are shares of one; for a judge of counts, things a second.
    """

    verdict: Verdict | None
    roll_back: bool  # at once, without waiting for the end
    observed: bool
    reason: str
    bad: int
    total: int
    missing: int  # blocks
    blocks: int  # missing ones too
    lower: float | None
    upper: float | None
    rule: str  # which one decided: "literal", "certain", "exact bound", "baseline", "confident", "minimum", ...


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

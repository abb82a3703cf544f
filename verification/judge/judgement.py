"""What a judge says: a verdict, or none yet, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from verification.settings.units import duration_text
from verification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from what was observed so far, of a stream of blocks or of a criterion under watch.

    `verdict` is None while, or where, it is undecided. `observed` is False when that is because too little was seen,
    True when the service itself is ambiguous. `rule` names what decided: "literal", "certain", "exact bound",
    "baseline", "confident", "minimum", ...; only the judges of blocks have several.
    """

    verdict: Verdict | None = None
    reason: str = ""
    roll_back: bool = False  # at once, without waiting for the end
    observed: bool = True
    rule: str = ""


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


def aside(burst_s: float) -> str:
    """That a tolerated burst was left out, if one is tolerated."""
    return f", even without the worst {duration_text(burst_s)}" if burst_s else ""

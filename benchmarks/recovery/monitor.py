"""How long users meet a fault that begins in a watch, in the compressed sandbox; and what a watch itself costs."""

from __future__ import annotations

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import ROOT
from benchmarks.recovery import watch_cost
from benchmarks.recovery.drill import drill
from verification.settings.loading import load

_FAULTS = ("error-rate", "unhealthy", "latency")
_AFTER = 3.0  # seconds from the revision's first request to its fault
_USERS_RPM = 600


def measure(*, quick: bool) -> list[Figure]:
    """Seconds from the beginning of each fault until the old revision answers everything; and the watch's cost."""
    return [*map(_drill, _FAULTS[:1] if quick else _FAULTS), *watch_cost.measure()]


def _drill(fault: str) -> Figure:
    record, observed = drill("monitor", f"{fault}@{_AFTER:g}s", rpm=_USERS_RPM)
    first = min((request.time for request in observed.served if request.revision == record.revision), default=None)
    if first is None:
        raise BenchmarkError(f"{fault}: nobody saw the revision {record.revision}")
    begun = first.timestamp() + _AFTER
    monitor = load(ROOT / "deployment.toml", "sandbox").settings.monitor
    assert monitor is not None
    literal = monitor.roll_back_at.lasting + monitor.block + monitor.log_delay
    note = (
        f"from the fault to all answers from the old revision, by {', '.join(record.rollback.triggers)}; "
        f"{len(observed.answers)} answers watched; the literal rule could decide after {literal:g} s"
    )
    return Figure(f"{fault} in a watch", observed.recovered_at() - begun, None, "s", note)

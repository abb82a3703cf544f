"""How long users get bad answers once the suite has seen one: from there until the old revision answers everything."""

from __future__ import annotations

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.recovery.drill import drill

_LIMIT = 5.0
_FAULTS = ("login-broken", "unhealthy", "mongodb-down")
_SUITE = "deployment-verification/"


def measure(*, quick: bool) -> list[Figure]:
    """Seconds from the suite's first failing answer until all answers are the old revision's, for each fault."""
    return [_recovery(fault) for fault in (_FAULTS[:1] if quick else _FAULTS)]


def _recovery(fault: str) -> Figure:
    _, observed = drill("smoke", fault, login=True)
    failures = [
        request.time.timestamp()
        for request in observed.served
        if request.user_agent.startswith(_SUITE) and request.status >= 500
    ]
    if not failures:
        raise BenchmarkError(f"{fault}: the suite got no failing answer")
    note = (
        "first failing answer of the suite to all answers from the old revision; "
        f"{len(observed.answers)} answers watched"
    )
    return Figure(f"recovery from {fault}", observed.recovered_at() - min(failures), _LIMIT, "s", note)

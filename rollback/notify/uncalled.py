"""A run that was killed between its rollback and calling people: what its journal says that people were not told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from verification.records.journal import Entry
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.verdict import now

_AT_WORK = timedelta(minutes=2)  # so long a run may still be about to call
_NEWS = timedelta(days=1)  # what is older, people know by now


def uncalled(entries: Sequence[Entry]) -> RollbackResult | None:
    """The result that the journal settled on, if it is one to call people about and nobody was."""
    settled = next((one for one in reversed(entries) if one.event == "settled"), None)
    armed = next((one for one in entries if one.event == "armed"), None)
    if settled is None or armed is None or armed.text("policy") == "by hand":
        return None
    if any(one.event.startswith("call-") for one in entries) or not _AT_WORK < now() - settled.at < _NEWS:
        return None
    outcome = settled.text("outcome")
    if outcome not in {RollbackOutcome.DONE, RollbackOutcome.FAILED, RollbackOutcome.WITHHELD}:
        return None
    verified = settled.fields.get("verified")
    return RollbackResult(
        RollbackOutcome(outcome),
        tuple(one.text("criterion") for one in entries if one.event == "failed"),
        from_revision=armed.text("revision"),
        to_revision=armed.text("previous_revision"),
        verified=verified if isinstance(verified, bool) else None,
        reason=settled.text("reason"),
        next_step=settled.text("next_step"),
    )

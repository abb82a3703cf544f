"""A database restore: offered after a rollback where the release destroyed something, and never done unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from verification.migrations.findings import noted
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.settings.model import Settings

_SHOWN = 3


def with_restore_offer(result: RollbackResult, settings: Settings, output: Path, commit: str) -> RollbackResult:
    """`result`, whose next step also says what the traffic alone does not bring back; `output` has all runs."""
    destroyed = noted(output, commit)
    if not destroyed or result.outcome is RollbackOutcome.NOT_NEEDED:
        return result
    more = f" and {len(destroyed) - _SHOWN} more" if len(destroyed) > _SHOWN else ""
    backup = settings.migrations.backup if settings.migrations else None
    where = f"the backup in {backup.folder}" if backup else "the backup that was made before it was migrated"
    offer = (
        f"The release carried destructive migrations ({'; '.join(destroyed[:_SHOWN])}{more}), which no rollback takes "
        f"back: if the service misses data, a person decides whether to restore {where}. Nothing was restored"
    )
    return replace(result, next_step=". ".join(filter(None, (result.next_step, offer))))

"""What became of a deployment that was announced in Slack, told in the thread of its announcement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reports.banner import SYMBOLS, headline, tally
from reports.text import plain
from verification.errors import VerificationError
from verification.records.run_record import POST_DEPLOY_PHASES, RunRecord
from verification.redaction import redact

if TYPE_CHECKING:
    from verification.settings.observers import SlackSettings


def update_thread(record: RunRecord, slack: SlackSettings | None, variables: Mapping[str, str], run: str) -> None:
    """Tell what `run` (a name that is its own) came to, once. Where that fails, the record says so.

    A release that was never announced has no thread, and nothing is told.
    """
    if slack is None or record.dry_run or not record.commit or not POST_DEPLOY_PHASES & set(record.phases):
        return
    from verification.clients.slack.client import Slack, release_key

    try:
        client = Slack.of(slack, variables)
        announcement = client.find(slack.deployments, release_key(record.commit))
        if announcement:
            text = message(record)
            client.announce(slack.deployments, text, [text], f"outcome-of-{run}", thread=announcement)
    except VerificationError as problem:
        record.notices.append(redact(f"the thread in {slack.deployments} was not updated: {problem.cause}"))


def message(record: RunRecord) -> str:
    """The verdict and the rollback, in two lines of plain text."""
    head = headline(record)
    phases = ", ".join(record.phases)
    return plain(f"{SYMBOLS[head.banner]} {phases}: {head.word}: {head.sentence}") + f"\n{plain(tally(record))}"

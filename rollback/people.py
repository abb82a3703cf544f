"""Call people: what the machine could not bring to its end, somebody must know of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

from rollback.journal import Journal
from verification.redaction import redact
from verification.settings import Settings


def call_people(settings: Settings, variables: Mapping[str, str], journal: Journal, message: str) -> None:
    """Tell the people of `settings` what they must know, and note in the journal that they were told. Never raises."""
    del variables  # the credentials of what reaches people
    journal.write("people-called", environment=settings.environment, message=message)
    with suppress(OSError):  # whoever read it may have gone
        print(redact(message), file=sys.stderr, flush=True)

"""How far this machine's clock is from that of the service's front end, by the Date header of an answer.

https://www.rfc-editor.org/rfc/rfc9110#field.date
"""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

from verification.clients.service.answer import Answer

_SLIGHT = 5.0  # seconds: the header has whole ones, and the way takes some
_LARGEST = 86_400.0


def skew(answer: Answer) -> dt.timedelta:
    """What must be added to this machine's time; nothing where both agree, or where the answer does not tell.

    An answer out of a cache was made earlier than its header is read: it does not tell.
    """
    date = answer.headers.get("date", "")
    if not date or answer.headers.get("age", "0") != "0":
        return dt.timedelta()
    try:
        there = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return dt.timedelta()
    if there.tzinfo is None:
        there = there.replace(tzinfo=dt.UTC)
    found = there - answer.observed_at
    return found if _SLIGHT < abs(found.total_seconds()) < _LARGEST else dt.timedelta()

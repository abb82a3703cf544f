"""Questions that are not put for now, because the service has answered them with 429: it wants them less often.

Only those that are posted, such as a login: to go on would learn nothing, and may lock the account. What is only read
is asked on, as each question of a watch is one of many; so is what is posted otherwise, such as another password.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from verification.clients.service.answer import Answer
from verification.deadline import Deadline
from verification.errors import ObserverError, ServiceError

_TOO_MANY = 429
_UNSAID, _LONGEST = 15.0, 60.0  # seconds: as long as one criterion is asked again, and as a watch may miss


@dataclass(frozen=True, slots=True)
class Restraint:
    """Remembers for each posted question until when it is not put again. Safe to use from many threads."""

    _until: dict[tuple[httpx.URL, bytes], Deadline] = field(default_factory=dict)

    def holds_back(self, request: httpx.Request, question: str) -> ObserverError | None:
        """Why the question is not put now; None where it may be."""
        until = self._until.get((request.url, request.content)) if request.method == "POST" else None
        if until is None or until.is_over:
            return None
        return ObserverError(
            f"{question}: it had answered 429, too many requests, and was not asked again",
            "Exempt the suite's user agent from the limit, or ask less often.",
        )

    def heed(self, request: httpx.Request, answer: Answer) -> None:
        """Note a refusal (https://www.rfc-editor.org/rfc/rfc6585#section-4); not one for want of an instance."""
        if request.method != "POST" or answer.code != _TOO_MANY or isinstance(answer.problem, ServiceError):
            return
        said = answer.headers.get("retry-after", "")
        seconds = float(said) if said.isascii() and said.isdecimal() else _UNSAID
        self._until[request.url, request.content] = Deadline.after(min(seconds, _LONGEST))

"""Lines of the checklist that no program can answer: a person does, and signs with a name (`--sign-off LINE=NAME`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verification.deadline import now
from verification.errors import NotAsked, SettingsError
from verification.verdict import Measurement

if TYPE_CHECKING:
    from verification.records.deployments import Signature

_LINE = re.compile(r"[a-z0-9_]+(\[[\w-]+\])?")
_LONGEST_NAME = 100


def read_sign_offs(given: Iterable[str]) -> dict[str, str]:
    """Names by line. Raises SettingsError for what is no `LINE=NAME`, or a name that no terminal should show."""
    found: dict[str, str] = {}
    for text in given:
        line, _, name = (part.strip() for part in text.partition("="))
        if not _LINE.fullmatch(line) or not name:
            raise SettingsError(
                f"--sign-off {text!r} is not LINE=NAME", 'Write it like --sign-off user_feedback_reviewed="Noa Levi".'
            )
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise SettingsError(
                f"--sign-off {line}: {name!r:.120} is no name: it is longer than {_LONGEST_NAME} characters, or holds "
                "some that cannot be seen",
                "Write the name of a person.",
            )
        found[line] = name
    return found


@dataclass(frozen=True, slots=True)
class SignOffLine:
    """One line that a person answers for: `given` is a name that this run was told, `before` an earlier signature."""

    id: str
    given: str
    before: Signature | None

    @property
    def name(self) -> str:
        """Who answers for it; empty where nobody does yet."""
        return self.given or (self.before.name if self.before else "")

    def must_be_signed(self, why: str = "") -> None:
        """Hold that somebody answers for it; inconclusive until then, for the reason `why`."""
        __tracebackhide__ = True
        self.signature(why).must_be(self.name or "a name")

    def signature(self, why: str = "") -> Measurement:
        """Who signed it, and when."""
        at = self.before.at if self.before and not self.given else now()
        source = "--sign-off" if self.given else "deployment log"
        return Measurement("signed off by", self.name or None, source=source, observed_at=at, problem=self._open(why))

    def _open(self, why: str) -> NotAsked | None:
        if self.name:
            return None
        reason = f": {why}" if why else ": nobody has signed it off yet"
        return NotAsked(f"needs a person{reason}", f'Look at it, then run with --sign-off {self.id}="YOUR NAME".')

"""A criterion asked once more, of the same service or of another revision: its questions put anew, its rules held.

Nothing of it reaches the report by itself: whoever repeats a criterion says what came of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import pytest

from verification.criteria.criterion import asked_by, role_of
from verification.criteria.results import blames_service
from verification.errors import AskedOnce, CredentialsRefused, NotRevisionRelated
from verification.probe import PROBES, may_be_asked_again, of_role
from verification.verdict import collecting

if TYPE_CHECKING:
    from verification.probe import Probes


@runtime_checkable
class Spendable(Protocol):
    """An answer to a question that is put once: `spent` is what stands in for it where all others are put anew."""

    def spent(self) -> object:
        """What raises AskedOnce when a rule looks at it."""
        ...


class Answered(StrEnum):
    """What one repetition says of the service."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # nothing was learned: an observer's problem, or none of this revision's


@dataclass(frozen=True, slots=True)
class Repetition:
    """What came of asking once more; `error` is what the criterion raised, if it did."""

    answered: Answered
    error: BaseException | None = None
    probes: Probes | None = None  # with the answers

    @property
    def text(self) -> str:
        """What was bad or unknown about it, in one line."""
        return str(self.error).strip().partition("\n")[0] if self.error else self.answered.value

    @property
    def refused(self) -> bool:
        """Whether the service refused our credentials: asking again would change nothing, and may lock the account."""
        return isinstance(self.error, CredentialsRefused)


@dataclass(frozen=True, slots=True)
class Question:
    """A criterion that is set up, and what pytest gave it; kept, it can be asked again after its teardown."""

    item: pytest.Item
    arguments: Mapping[str, object]

    @classmethod
    def of(cls, item: pytest.Item) -> Question:
        """That of a criterion which is being called."""
        return cls(item, dict(cast("pytest.Function", item).funcargs))

    @property
    def fails_where_asked_once(self) -> bool:
        """Whether what failed is the answer to a question that is put once: without it, nothing was bad."""
        names = inspect.signature(cast("pytest.Function", self.item).obj).parameters
        known = {name: self.arguments[name] for name in names}
        role = role_of(self.item)
        spent = {
            name: value.spent()
            for name, value in known.items()
            if isinstance(value, Spendable) and not may_be_asked_again(of_role(name, role))
        }
        if not spent:
            return False
        spent = {**known, **spent}
        try:
            with collecting():
                cast("pytest.Function", self.item).obj(**spent)
        except AskedOnce:
            return True
        except Exception:
            return False
        return False

    @property
    def asks_the_service(self) -> bool:
        """Whether its answer is the service's, so that another revision can be asked in its place."""
        return "service" in self.arguments or any(map(may_be_asked_again, asked_by(self.item)))


def repeat(
    question: Question, service: object, within: float, *, whole_chain: bool = False, ahead: Probes | None = None
) -> Repetition:
    """Ask what a criterion asks of `service`, and hold the answers to its rules; never raises.

    Of its answers, those that its own questions gave are asked for again, what they need is reused; `whole_chain`: that
    is asked anew too, such as the login before a list. A question that is put once only keeps its answer. `within`
    bounds each wait, in seconds. `ahead` has the answers where they have been asked for already.
    """
    item = question.item
    known = item.config.stash[PROBES]
    names = known.asked if whole_chain else asked_by(item)
    again = ahead or known.anew((name for name in names if may_be_asked_again(name)), role_of(item), service, within)
    try:
        with collecting():
            cast("pytest.Function", item).obj(**_arguments(question, again, service, whole_chain=whole_chain))
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return Repetition(_answered(error), error, again)
    return Repetition(Answered.GOOD, probes=again)


def _answered(error: BaseException) -> Answered:
    if isinstance(error, AskedOnce):
        return Answered.GOOD  # so was all that the criterion had looked at before
    return Answered.BAD if blames_service(error) and not isinstance(error, NotRevisionRelated) else Answered.UNKNOWN


def _arguments(question: Question, again: Probes, service: object, *, whole_chain: bool) -> dict[str, object]:
    """The criterion's arguments: probes are asked by `again`, all else is as pytest had set it up."""
    item, replaced = question.item, {"service": service}
    arguments: dict[str, object] = {}
    for name in inspect.signature(cast("pytest.Function", item).obj).parameters:
        probe = of_role(name, role_of(item))
        if may_be_asked_again(probe):
            arguments[name] = again.result(probe)
        else:
            known = replaced.get(name, question.arguments[name])
            arguments[name] = known.spent() if whole_chain and isinstance(known, Spendable) else known
    return arguments

"""A criterion asked once more, of the same service or of another revision: its questions put anew, its rules held.

Nothing of it reaches the report by itself: whoever repeats a criterion says what came of it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import pytest

from verification.criteria.criterion import asked_by, role_of
from verification.criteria.results import blames_service
from verification.errors import CredentialsRefused, NotRevisionRelated
from verification.probe import PROBES, may_be_asked_again, of_role
from verification.verdict import collecting

if TYPE_CHECKING:
    from verification.probe import Probes


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

    @property
    def text(self) -> str:
        """What was bad or unknown about it, in one line."""
        return str(self.error).strip().partition("\n")[0] if self.error else self.answered.value

    @property
    def refused(self) -> bool:
        """Whether the service refused our credentials: asking again would change nothing, and may lock the account."""
        return isinstance(self.error, CredentialsRefused)


def repeat(item: pytest.Item, service: object, within: float, *, whole_chain: bool = False) -> Repetition:
    """Ask what the criterion `item` asks of `service`, and hold the answers to its rules; never raises.

    Of its answers, those that its own questions gave are asked for again, what they need is reused; `whole_chain`: that
    is asked anew too, such as the login before a list. A question that is put once only keeps its answer. `within`
    bounds each wait, in seconds.
    """
    known = item.config.stash[PROBES]
    names = known.asked if whole_chain else asked_by(item)
    again = known.anew((name for name in names if may_be_asked_again(name)), role_of(item), service, within)
    try:
        with collecting():
            cast("pytest.Function", item).obj(**_arguments(item, again, service))
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        bad = blames_service(error) and not isinstance(error, NotRevisionRelated)
        return Repetition(Answered.BAD if bad else Answered.UNKNOWN, error)
    return Repetition(Answered.GOOD)


def _arguments(item: pytest.Item, again: Probes, service: object) -> dict[str, object]:
    """The criterion's arguments: probes are asked by `again`, all else is as pytest had set it up."""
    function = cast("pytest.Function", item)
    replaced: dict[str, object] = {"service": service}
    arguments: dict[str, object] = {}
    for name in inspect.signature(function.obj).parameters:
        probe = of_role(name, role_of(item))
        if may_be_asked_again(probe):
            arguments[name] = again.result(probe)
        else:
            arguments[name] = replaced.get(name, function.funcargs[name])
    return arguments

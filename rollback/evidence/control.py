"""The control: the revision from before is asked what has failed, through a tag of its own at 0 % of the traffic.

Does it answer better, by more than chance, going back helps; does it fail as well, nothing would be gained. The tag is
set when something has failed for the first time, so that a healthy production is never written to, and the revision
starts while the failure is being confirmed. It goes before the run is settled; its line in the journal lets `resume`
take it away.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rollback.evidence.control_tag import new_control_tag, put_up, take_away
from rollback.policy.facts import ControlResult, ControlVerdict
from verification.clients.google.cloud_run import CloudRun, Unclear
from verification.deadline import Deadline, poll
from verification.errors import ObserverError, RedirectedElsewhere
from verification.records.journal import Journal, JournalEvent
from verification.records.rollback_plan import RollbackPlan
from verification.settings.model import Settings

if TYPE_CHECKING:  # the supervisor asks nothing again, and must not cost every run their import
    from verification.clients.service.answer import Answer
    from verification.clients.service.client import Service
    from verification.criteria.confirmation import Confirmed

_ASKED, _ASKED_AFTER = "control", "asked-after"
_STARTING = frozenset({429, 500, 502, 503, 504})
_NO_SUCH_PATH = 404
_USERS_LATENCY = "p95_latency"
_PAUSE = 0.3


class FailedQuestions(Protocol):
    """The questions of the criteria that have failed, to be put again."""

    def ask(self, criterion: str, address: str, within: float) -> Confirmed | None:
        """What the criterion says of who answers at `address` (empty: the service's); None for what cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class AskedAfter:
    """Of what had failed: what still fails, and of what that is not known; each with its answers."""

    failing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Control:
    """The revision that `plan` goes back to, asked the questions of the run's failed criteria."""

    def __init__(
        self, settings: Settings, cloud_run: CloudRun, journal: Journal, plan: RollbackPlan, questions: FailedQuestions
    ) -> None:
        self._settings = settings
        self._cloud_run = cloud_run
        self._journal = journal
        self._target = plan.target
        self._tag = new_control_tag(cloud_run.settings.service)
        self._questions = questions
        self._within = settings.rollback.control_within
        self._thread: threading.Thread | None = None
        self._address = ""
        self._is_away = False  # the tag was not set, or is taken away
        self._problem = ""

    def prepare(self) -> None:
        """Begin to set the tag and to wake its revision, beside everything else; once."""
        if self._thread is None and self._target:
            self._journal.write(JournalEvent.CONTROL_TAG_SET, tag=self._tag, revision=self._target)
            self._thread = threading.Thread(target=self._prepare, name="control", daemon=True)
            self._thread.start()

    def ask(self, triggers: Sequence[str]) -> ControlResult:
        """What the revision from before answers to the questions of `triggers`. Never raises."""
        deadline = Deadline.after(self._within)
        self.prepare()
        if self._thread is not None:
            self._thread.join(deadline.remaining)
        if not self._address:
            problem = self._problem or f"it did not answer within {self._within:g} s"
            return self._told(ControlResult(ControlVerdict.UNKNOWN, f"{self._target} could not be asked: {problem}"))
        with ThreadPoolExecutor(max(len(triggers), 1)) as pool:
            found = list(pool.map(lambda name: self._asked(name, deadline.remaining), triggers))
        return self._told(result_of(self._target, dict(zip(triggers, found, strict=True))))

    def ask_after(self, triggers: Sequence[str]) -> AskedAfter:
        """How the service answers the questions of `triggers` now that the traffic has moved. Never raises."""
        within = self._settings.smoke.confirm_within
        with ThreadPoolExecutor(max(len(triggers), 1)) as pool:
            found = pool.map(lambda name: self._questions.ask(name, "", within), triggers)
            results = dict(zip(triggers, found, strict=True))
        asked = {name: result for name, result in results.items() if result is not None}
        failing = [f"{name} ({result.text})" for name, result in asked.items() if result.does_as_badly]
        mended = [name for name, result in asked.items() if result.does_better]
        unknown = [
            f"{name} ({_counted(result)})"
            for name, result in asked.items()
            if not (result.does_as_badly or result.does_better)
        ]
        self._journal.write(
            _ASKED_AFTER, reason=_words(results), still_failing=failing, works_again=mended, not_known=unknown
        )
        return AskedAfter(tuple(failing), tuple(unknown))

    def close(self) -> str:
        """Take the tag away. What a person must do about one that stays, or nothing."""
        if self._thread is None or self._is_away:
            return ""
        self._thread.join(self._within)
        # By what this process knows: the journal's disk may be full.
        problem = "" if self._is_away else take_away(self._cloud_run, self._journal, self._tag)
        self._is_away = not problem
        return problem

    def _prepare(self) -> None:
        deadline, is_set = Deadline.after(self._within), False
        try:
            address = put_up(self._cloud_run, self._tag, self._target, deadline)
            is_set = True
            self._wake(address, deadline)
            self._address = address
        except ObserverError as problem:
            self._problem = problem.cause
            if not (is_set or isinstance(problem, Unclear)):  # nothing was written, so nothing is to be taken away
                self._journal.write(JournalEvent.CONTROL_TAG_REMOVED, tag=self._tag)
                self._is_away = True
        except Exception as error:  # a thread of its own: nobody else would hear of it
            self._problem = f"{type(error).__name__}: {error}"

    def _wake(self, address: str, deadline: Deadline) -> None:
        """Return once an instance of the revision has started: its first answer may take long, or be a refusal.

        Raises ObserverError where the tag's address is answered otherwise than the service's, whoever would serve.
        """
        health = self._settings.health.basic or self._settings.health.readiness or self._settings.health.deep
        path = health.path if health else "/"
        with closing(self._client(address)) as there, closing(self._client("")) as service:

            def started() -> Answer | None:
                answer = there.get(path, retry_503=False)
                elsewhere = isinstance(answer.problem, RedirectedElsewhere)
                return answer if elsewhere or answer.code not in {None, *_STARTING} else None

            answer = poll(started, deadline, _PAUSE)
            if answer is not None and answers_otherwise(answer, service.get(path, retry_503=False)):
                said = answer.problem.cause if answer.problem else f"{answer.question}: answered {answer.code}"
                raise ObserverError(f"its address is answered otherwise than the service's own ({said})")
            reported = self._settings.health.reported_revision
            if reported and answer is not None:
                named = there.get(reported.path, retry_503=False).field(reported.field)
                if named.problem is None and named.value != self._target:
                    raise ObserverError(f"{named.value} answers at its address ({reported.field})")

    def _client(self, address: str) -> Service:
        from verification.clients.service.client import Service

        target, smoke = self._settings.target, self._settings.smoke
        target = target.model_copy(update={"url": address}) if address else target
        return Service(target, smoke.model_copy(update={"within": 0.0}))

    def _asked(self, criterion: str, within: float) -> Confirmed | None:
        return self._questions.ask(criterion, self._address, within)

    def _told(self, result: ControlResult) -> ControlResult:
        self._journal.write(_ASKED, revision=self._target, verdict=result.verdict.value, reason=result.reason)
        return result


def result_of(target: str, found: dict[str, Confirmed | None]) -> ControlResult:
    """What the answers of `target`, by trigger, come to: going back helps where it answers any of them better.

    That users are answered slowly cannot be asked; where a dependency is slow for both revisions, it is explained.
    """
    reason = f"{target} was asked the same: {_words(found)}"
    if any(result is not None and result.does_better for result in found.values()):
        return ControlResult(ControlVerdict.BETTER, reason)
    slow_for_both = any(
        name.endswith("_latency") and result is not None and result.does_as_badly for name, result in found.items()
    )
    to_explain = [result for name, result in found.items() if not (slow_for_both and name == _USERS_LATENCY)]
    if to_explain and all(result is not None and result.does_as_badly for result in to_explain):
        return ControlResult(ControlVerdict.NO_BETTER, reason)
    return ControlResult(ControlVerdict.UNKNOWN, reason)


def answers_otherwise(there: Answer, service: Answer) -> bool:
    """Whether a health check is refused or sent elsewhere at the tag's address alone: by a list of trusted hosts, say.

    404 is not that: the revision from before may not have the path.
    """
    return _is_refused(there) and not _is_refused(service)


def _is_refused(answer: Answer) -> bool:
    refused = answer.code is not None and 300 <= answer.code < 500 and answer.code != _NO_SUCH_PATH
    return refused or isinstance(answer.problem, RedirectedElsewhere)


def _words(found: dict[str, Confirmed | None]) -> str:
    return "; ".join(f"{name}: {_counted(result)}" for name, result in found.items())


def _counted(result: Confirmed | None) -> str:
    if result is None:
        return "cannot be asked"
    answers = result.answers
    if not answers.total:
        return f"it gave nothing to judge by: {result.why_unknown or 'no answer came in time'}"
    unknown = f", {result.unknown} gave nothing to judge by: {result.why_unknown}" if result.unknown else ""
    last = f" ({result.bad.text})" if result.bad else ""
    return f"{answers.bad} of {answers.total} answers were bad{last}{unknown}"

"""Who can tell which revision served before: users' answers, our serving record, and whoever noted it.

One that is silent (down, not permitted, too old, never there) is no evidence, and contradicts nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from rollback.context import RollbackContext
from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.clients.google.cloud_run import Absent, RevisionState
from verification.clients.google.user_answers import Newcomer, UserAnswers, by_request_count, by_request_log
from verification.clients.service.client import user_agent
from verification.deadline import bounded
from verification.errors import ObserverError, VerificationError
from verification.records.deployment_log import open_log
from verification.records.deployments import Deployment, DeploymentOutcome
from verification.records.rollback_plan import PreviousRevisionHint

LISTED = 50  # revisions
_LOG_WITHIN = 3.0  # seconds for the deployment log


@dataclass(frozen=True, slots=True)
class Testimony:
    """The `revision` that served before, as `source` has it. Without one, `words` say why it is silent.

    `hosts` are those that users asked; `unheard`: it was asked and gave no answer, so that it may know better.
    """

    source: str
    revision: str = ""
    words: str = ""
    hosts: frozenset[str] = frozenset()
    unheard: bool = False

    @property
    def text(self) -> str:
        """The source, and what it saw."""
        return f"{self.source}: {self.words}" if self.words else self.source


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All who can tell what served before `failing`; each question to an observer takes `within` seconds at most.

    `tag_addresses`: where requests are no users', but a person's or a tool's that asks one revision.
    """

    context: RollbackContext
    failing: RevisionState
    within: float
    tag_addresses: tuple[str, ...] = ()

    def hear(self, hint: PreviousRevisionHint | None) -> tuple[list[Testimony], dict[str, str]]:
        """What each of them says, and which revisions are known to be bad, with why. Raises ObserverError."""
        cloud_run = self.context.cloud_run.limited_to(self.within)
        with ThreadPoolExecutor(4, "previous revision") as pool:
            logged = pool.submit(self._ask, "request log", self._by_request_log)
            counted = pool.submit(self._ask, "request counts", self._by_request_count)
            judged = pool.submit(self._judged_bad)
            known = pool.submit(cloud_run.revisions, LISTED)
        revisions, bad = known.result(), judged.result()
        told = [logged.result(), counted.result()]
        if told[0][1].logged:
            del told[1:]  # what was counted besides were our own questions
        users = _the_clearest([_unless_outdated(*one, revisions, self.failing) for one in told])
        note = [Testimony(hint.source, hint.revision)] if hint and hint.revision else []
        return [users, self._record(revisions, bad), *note], bad

    def _record(self, listed: Sequence[RevisionState], bad: dict[str, str]) -> Testimony:
        source, past = "serving record", self.context.history.about(self.context.cloud_run.settings)
        seen = past.before(self.failing.name, bad)
        if seen is None:
            return Testimony(source, words="it has seen none")
        named = f"it names {seen.revision}, seen serving at {seen.observed_at:%Y-%m-%d %H:%M} UTC, "
        try:
            found = self.context.cloud_run.limited_to(self.within).revision(seen.revision)
        except Absent:
            return Testimony(source, words=f"{named}which does not exist any more")
        if found.created >= self.failing.created:
            return Testimony(source, words=f"{named}which is not older than {self.failing.name}")
        between = [one for one in listed if one.ready and found.created < one.created < self.failing.created]
        unseen = [one.name for one in between if one.name not in past.revisions]
        if unseen:
            missed = f"it is too old: {named}and has never seen what was created since, {', '.join(unseen)}"
            return Testimony(source, words=missed)
        if len(listed) == LISTED and listed[-1].created > found.created:
            return Testimony(source, words=f"it is too old: {named}and more than {LISTED} were created since")
        return Testimony(source, found.name, f"it was seen serving at {seen.observed_at:%Y-%m-%d %H:%M} UTC")

    def _judged_bad(self) -> dict[str, str]:
        """The revisions that were rolled back or whose last verdict is bad, with the words that say so."""
        context, table = self.context, self.context.cloud_run.settings
        past = context.history.about(table)
        bad = {name: "was rolled back" for name in past.revisions if past.is_marked_bad(name)}
        try:
            log = open_log(context.settings.deployment_log, context.history.path.parent, context.variables)
            deployments = bounded(log.deployments, min(_LOG_WITHIN, self.within))
        except (VerificationError, TimeoutError):
            return bad
        place = (context.settings.environment, table.service)
        ours = (one for one in deployments if (one.environment, one.service) == place)
        return {one.revision: words for one in ours if (words := _why_bad(one))} | bad

    def _ask(self, source: str, question: Callable[[Newcomer], UserAnswers]) -> tuple[str, UserAnswers]:
        agent = user_agent().partition("/")[0]
        newcomer = Newcomer(self.failing.name, self.failing.created, agent, self.tag_addresses)
        try:
            return source, bounded(lambda: question(newcomer), self.within)
        except TimeoutError:
            return source, UserAnswers(problem=f"no answer within {self.within:g} s", unheard=True)
        except ObserverError as problem:
            return source, UserAnswers(problem=problem.cause, unheard=True)

    def _by_request_log(self, newcomer: Newcomer) -> UserAnswers:
        with closing(CloudLogging(self.context.cloud_run.settings, self.within)) as log:
            return by_request_log(log, newcomer)

    def _by_request_count(self, newcomer: Newcomer) -> UserAnswers:
        with closing(CloudMonitoring(self.context.cloud_run.settings, self.within)) as monitoring:
            return by_request_count(monitoring, newcomer)


# The guards that withhold a rollback because what failed is not the fault of the revision that was verified.
_NOT_ITS_FAULT = frozenset(
    {"previous_no_better", "failed_before_the_deployment", "answered_by_another", "address_of_another_service"}
)


def _why_bad(deployment: Deployment) -> str:
    match deployment.state:
        case DeploymentOutcome.ROLLED_BACK:
            return "was rolled back"
        case DeploymentOutcome.FAILED if not (deployment.rollback and deployment.rollback.guard in _NOT_ITS_FAULT):
            return "failed its verification"
    return ""


def _unless_outdated(
    source: str, answers: UserAnswers, listed: Sequence[RevisionState], failing: RevisionState
) -> Testimony:
    """What users saw, unless a revision was created since that may have served while no user asked."""
    if not answers.revision or answers.at is None or answers.until is None:
        return Testimony(source, words=answers.problem, unheard=answers.unheard)
    later = [
        one.name
        for one in listed
        if one.ready and one.name not in (failing.name, answers.revision) and answers.at < one.created < answers.until
    ]
    if later or (len(listed) == LISTED and listed[-1].created > answers.at):
        since = f"and nobody has asked {', '.join(later) or 'what'}, created since"
        return Testimony(source, words=f"{answers.revision} answered the last user before, {since}")
    return Testimony(source, answers.revision, answers.words, answers.hosts)


def _the_clearest(told: Sequence[Testimony]) -> Testimony:
    """The first that names a revision: they tell of the same requests, the log exactly, the counts by the minute."""
    named = next((one for one in told if one.revision), None)
    words = "; ".join([told[0].words, *(one.text for one in told[1:])])
    return named or replace(told[0], words=words)

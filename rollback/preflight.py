"""What is known at the start of a run, and whether a rollback would be possible: said before it is needed."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit

from rollback.context import RollbackContext
from rollback.executor import facts_of, other_control_tags
from rollback.policy.decide import foreseeable
from rollback.previous_revision.find import Previous, find_previous
from verification.clients.google.cloud_run import Absent, CloudRun, RevisionState, ServiceState
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.deadline import Deadline
from verification.errors import ObserverError
from verification.operator_commands import roll_back
from verification.records.rollback_plan import ALL, Obstacle, PreviousRevisionHint, RollbackPlan

_SNAPSHOT_WITHIN = 15.0
_ANSWER_WITHIN = 3.0
_CLOUD_RUNS_OWN = ".run.app"


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """What served when a run began, and what a rollback would do; `service` is None where Cloud Run did not say.

    `notices` are what a reader must know besides the plan's obstacles.
    """

    plan: RollbackPlan
    service: ServiceState | None = None
    commit: str = ""
    notices: tuple[str, ...] = ()


def take_snapshot(
    context: RollbackContext,
    hint: PreviousRevisionHint | None,
    judged: str | None = None,
    asked_since: datetime | None = None,
    before: ServiceState | None = None,
) -> ServingSnapshot:
    """What serves, what served before, and what stands in the way of a rollback; notes what serves. Never raises.

    `judged` is the revision whose deployment is judged (empty: the newest one, None: none is), `asked_since` when the
    first question was put to the service, `before` what Cloud Run said just before that, if it was asked. Takes 15 s
    at most.
    """
    try:
        snapshot = _Snapshot(context, hint, asked_since, before).take()
    except Exception as error:  # whatever it is, the run goes on, and says that there is no way back
        reason = error.cause if isinstance(error, ObserverError) else f"{type(error).__name__}: {error}"
        unknown = Obstacle("serving_unknown", f"what serves is unknown: {reason}")
        target, evidence = (hint.revision, hint.source) if hint else ("", "")
        snapshot = ServingSnapshot(RollbackPlan(target=target, evidence=evidence, obstacles=(unknown,)))
    newest = snapshot.service.latest_created if snapshot.service else ""
    plan = replace(snapshot.plan, deployed="" if judged is None else judged or newest)
    if plan.deployed and plan.revision and plan.deployed != plan.revision:
        plan = replace(plan, target="", evidence="")
    return replace(snapshot, plan=_with_foreseeable(plan, context))


def _with_foreseeable(plan: RollbackPlan, context: RollbackContext) -> RollbackPlan:
    likeliest = {obstacle.code: obstacle.likeliest for obstacle in plan.obstacles}
    found = [
        Obstacle(decision.guard, decision.reason, likeliest.get(decision.guard, ""))
        for decision in foreseeable(facts_of(plan, context))
    ]
    codes = {obstacle.code for obstacle in found}
    return replace(plan, obstacles=(*found, *(known for known in plan.obstacles if known.code not in codes)))


@dataclass(slots=True)
class _Snapshot:
    context: RollbackContext
    hint: PreviousRevisionHint | None
    asked_since: datetime | None
    before: ServiceState | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(_SNAPSHOT_WITHIN))
    obstacles: list[Obstacle] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def take(self) -> ServingSnapshot:
        with ThreadPoolExecutor(1, "who answers") as pool:
            answer = pool.submit(self.ask_who_answers)
            at_first = self.cloud_run.service()
            return self.seen(at_first, answer.result())

    def seen(self, at_first: ServiceState, answer: Answer) -> ServingSnapshot:
        service = self.cloud_run.settled_service(self.remaining) if at_first.moving else at_first
        self.check_permission()
        self.notices += filter(None, [other_control_tags(self.context.cloud_run, service)])
        if service.sole_revision is None:
            plan = RollbackPlan(service.shares, obstacles=tuple(self.obstacles))
            return ServingSnapshot(plan, service, notices=tuple(self.notices))
        serving = self.cloud_run.revision(service.sole_revision)
        previous, named = self.find_previous(serving, service), self.named_in(answer)
        self.check_address(service, named, previous.hosts)
        changing = self.changing(at_first, service, answer)
        if changing:  # what fails may be the revision that served until then
            self.note("service_was_changing", f"{changing}, so which revision answered is not known")
            previous, named = Previous(), ""
        plan = RollbackPlan(
            {serving.name: ALL},
            previous.revision,
            previous.evidence,
            mark_bad=(serving.name,),
            created=serving.created,
            answered=(named,) if named else (),
            obstacles=tuple(self.obstacles),
            unconfirmed=previous.unconfirmed,
        )
        return ServingSnapshot(plan, service, serving.commit, tuple(self.notices))

    @property
    def remaining(self) -> float:
        return max(self.deadline.remaining, 0.1)

    @property
    def cloud_run(self) -> CloudRun:
        return self.context.cloud_run.limited_to(self.remaining)

    def note(self, code: str, text: str) -> None:
        self.obstacles.append(Obstacle(code, text))

    def ask_who_answers(self) -> Answer:
        settings = self.context.settings
        reported, basic = settings.health.reported_revision, settings.health.basic
        path = reported.path if reported else basic.path if basic else "/"
        smoke = settings.smoke.model_copy(update={"timeout": min(settings.smoke.timeout, _ANSWER_WITHIN)})
        with closing(Service(settings.target, smoke)) as service:
            return service.get(path, retry_503=False)

    def named_in(self, answer: Answer) -> str:
        """The revision that the answer names itself, or nothing."""
        reported = self.context.settings.health.reported_revision
        value = answer.field(reported.field).value if reported else None
        return value if isinstance(value, str) else ""

    def changing(self, at_first: ServiceState, service: ServiceState, answer: Answer) -> str:
        """That what serves may have changed since the first question was asked, or nothing."""
        if self.before is not None and service.serves_as(self.before):
            return ""  # whatever was written moved nobody: a tag, which another run has set or taken away
        if at_first.moving:
            return "the service was being changed while its questions were asked"
        since, changed = self.asked_since, at_first.changed
        if since is None or changed is None or changed <= since + answer.clock_skew:
            return ""
        return f"the service was changed at {changed:%H:%M:%S} UTC, when its first questions had been asked"

    def check_address(self, service: ServiceState, named: str, asked_by_users: Collection[str]) -> None:
        """Hold the target's address against the service's own, else against what answers and users tell of it."""
        url = self.context.settings.target.url
        host = urlsplit(url).netloc
        if host in service.hosts:
            return
        belongs = self.has_revision(service, named) if named else None
        if belongs is False:
            self.note(
                "address_of_another_service",
                f"{url} answers as {named}, and the service {service.name} has no such revision: it is another "
                "service's address (or health.reported_revision is no revision's name)",
            )
        elif belongs is None and service.urls and host.endswith(_CLOUD_RUNS_OWN):
            others = ", ".join(sorted(service.hosts))
            self.note("address_of_another_service", f"{url} is none of the addresses of {service.name} ({others})")
        elif belongs is None and host not in asked_by_users:
            self.notices.append(
                f"whether {url} is an address of {service.name} is not known: it is a domain of its own, and its "
                "answers name no revision (health.reported_revision)"
            )

    def has_revision(self, service: ServiceState, name: str) -> bool | None:
        """Whether the service has the revision; None where that cannot be known."""
        if name in service.shares:
            return True
        try:
            return bool(self.cloud_run.revision(name))
        except Absent:
            return False
        except ObserverError:
            return None

    def check_permission(self) -> None:
        try:
            if not self.cloud_run.may_update():
                self.note(
                    "permission_missing",
                    "these credentials lack the permission run.services.update (grant roles/run.developer on the "
                    "service, and roles/iam.serviceAccountUser on its own account)",
                )
        except ObserverError as error:
            self.note("permission_unknown", f"whether these credentials may roll back is not known: {error.cause}")

    def find_previous(self, serving: RevisionState, state: ServiceState) -> Previous:
        history, service = self.context.history, self.context.cloud_run.settings
        problem = history.observe(service, serving.name, serving.created)
        if problem:
            self.note("history_not_written", f"{problem}: the next run will not know what served now")
        try:
            found = find_previous(
                self.context, serving, self.hint, within=self.remaining, tag_addresses=state.tag_addresses
            )
        except ObserverError as error:
            found = Previous(
                problem=f"the previous revision could not be looked up: {error.cause}", code="target_unknown"
            )
        if found.problem:
            command = f"Roll back with `{roll_back(self.context.settings.environment, found.likeliest)}`."
            text = f"{found.problem.rstrip('.')}. {command}"
            self.obstacles.append(Obstacle(found.code, text, found.likeliest))
        return found

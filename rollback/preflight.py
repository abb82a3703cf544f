"""What is known at the start of a run, and whether a rollback would be possible: said before it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rollback.context import RollbackContext
from rollback.executor import facts_of
from rollback.policy.decide import foreseeable
from rollback.previous_revision.find import Previous, find_previous
from verification.clients.google.cloud_run import CloudRun, RevisionState, ServiceState
from verification.deadline import Deadline
from verification.errors import ObserverError
from verification.operator_commands import roll_back
from verification.records.rollback_plan import ALL, Obstacle, PreviousRevisionHint, RollbackPlan

_SNAPSHOT_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """What served when a run began, and what a rollback would do; `service` is None where Cloud Run did not say."""

    plan: RollbackPlan
    service: ServiceState | None = None
    commit: str = ""


def take_snapshot(
    context: RollbackContext, hint: PreviousRevisionHint | None, judged: str | None = None
) -> ServingSnapshot:
    """What serves, what served before, and what stands in the way of a rollback; notes what serves. Never raises.

    `judged` is the revision whose deployment is judged (empty: the newest one, None: none is). Takes 15 s at most.
    """
    try:
        snapshot = _Snapshot(context, hint).take()
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
    found = [Obstacle(decision.guard, decision.reason) for decision in foreseeable(facts_of(plan, context))]
    codes = {obstacle.code for obstacle in found}
    return replace(plan, obstacles=(*found, *(known for known in plan.obstacles if known.code not in codes)))


@dataclass(slots=True)
class _Snapshot:
    context: RollbackContext
    hint: PreviousRevisionHint | None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(_SNAPSHOT_WITHIN))
    obstacles: list[Obstacle] = field(default_factory=list)

    def take(self) -> ServingSnapshot:
        at_first = self.cloud_run.service()
        service = self.cloud_run.settled_service(self.remaining) if at_first.moving else at_first
        self.check_permission()
        if service.sole_revision is None:
            return ServingSnapshot(RollbackPlan(service.shares, obstacles=tuple(self.obstacles)), service)
        serving = self.cloud_run.revision(service.sole_revision)
        previous = self.find_previous(serving, service)
        if at_first.moving:  # the questions are asked meanwhile: what fails may be the revision that served until then
            changing = "the service was being changed while its questions were asked, so which revision answered is "
            self.note("service_was_changing", f"{changing}not known")
            previous = Previous()
        plan = RollbackPlan(
            {serving.name: ALL},
            previous.revision,
            previous.evidence,
            mark_bad=(serving.name,),
            created=serving.created,
            obstacles=tuple(self.obstacles),
        )
        return ServingSnapshot(plan, service, serving.commit)

    @property
    def remaining(self) -> float:
        return max(self.deadline.remaining, 0.1)

    @property
    def cloud_run(self) -> CloudRun:
        return self.context.cloud_run.limited_to(self.remaining)

    def note(self, code: str, text: str) -> None:
        self.obstacles.append(Obstacle(code, text))

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
            command = f"Roll back with `{roll_back(self.context.settings.environment)}`."
            self.note(found.code, f"{found.problem.rstrip('.')}. {command}")
        return found

"""Events folded into deployments: what updates, what stays, what counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from verification.records.deployments import (
    Deployment,
    DeploymentEvent,
    DeploymentOutcome,
    EventKind,
    LoggedRollback,
    PhaseVerdict,
    SignOff,
    fold,
)
from verification.records.run_record import RollbackOutcome
from verification.verdict import Verdict

BEGAN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def event(
    number: int,
    revision: str = "b",
    *,
    kind: EventKind = EventKind.RUN,
    smoke: Verdict | None = None,
    **more: object,
) -> DeploymentEvent:
    """What happened `number` minutes after the deployment."""
    at = BEGAN + timedelta(minutes=number)
    fields: dict[str, object] = {
        "id": f"{revision}/{number}/{kind}",
        "kind": kind,
        "at": at,
        "environment": "production",
        "service": "backend",
        "revision": revision,
        "phases": {"smoke": PhaseVerdict(verdict=smoke, ended=at)} if smoke else {},
    }
    return DeploymentEvent.model_validate(fields | more)


def rolled_back(outcome: RollbackOutcome = RollbackOutcome.DONE, *, verified: bool | None = True) -> LoggedRollback:
    return LoggedRollback(outcome=outcome, from_revision="b", to_revision="a", seconds=2.0, verified=verified)


def only(*events: DeploymentEvent) -> Deployment:
    (found,) = fold(events)
    return found


def test_the_same_phase_again_updates_the_deployment_and_repeats_nothing() -> None:
    found = only(event(9, smoke=Verdict.PASS), event(2, smoke=Verdict.INCONCLUSIVE))
    assert found.verdicts == {"smoke": Verdict.PASS}
    assert found.state is DeploymentOutcome.GOOD
    assert found.verified == BEGAN + timedelta(minutes=9)
    assert found.first_smoke == BEGAN + timedelta(minutes=2), "how long it took is not what was asked again later"


def test_another_phase_is_added() -> None:
    monitor = event(15, phases={"monitor": PhaseVerdict(verdict=Verdict.FAIL, ended=BEGAN)})
    found = only(event(2, smoke=Verdict.PASS), monitor)
    assert found.verdicts == {"smoke": Verdict.PASS, "monitor": Verdict.FAIL}
    assert (found.state, found.verified) == (DeploymentOutcome.FAILED, None)


def test_what_came_before_or_after_says_nothing_about_the_deployment_itself() -> None:
    gates = event(
        1, phases={name: PhaseVerdict(verdict=Verdict.INCONCLUSIVE, ended=BEGAN) for name in ("pre", "followup")}
    )
    assert only(gates).state is DeploymentOutcome.UNCLEAR
    assert only(gates, event(2, smoke=Verdict.PASS)).state is DeploymentOutcome.GOOD


def test_a_rollback_stays_one_whatever_runs_afterwards() -> None:
    undone = event(3, smoke=Verdict.FAIL, rollback=rolled_back(), failed_at=BEGAN + timedelta(minutes=2))
    again = event(8, smoke=Verdict.PASS, rollback=rolled_back(RollbackOutcome.WITHHELD))
    found = only(undone, again)
    assert found.state is DeploymentOutcome.ROLLED_BACK
    assert found.rollback == rolled_back()
    assert found.recovery == 60.0


def test_a_rollback_by_hand_mends_what_a_run_found() -> None:
    failed = event(3, smoke=Verdict.FAIL, failed_at=BEGAN + timedelta(minutes=3))
    by_hand = event(7, kind=EventKind.ROLLBACK, rollback=rolled_back())
    assert only(failed, by_hand).recovery == 240.0


def test_a_recovery_that_nobody_proved_is_not_known() -> None:
    failed_at = BEGAN + timedelta(minutes=2)
    assert only(event(3, rollback=rolled_back(verified=False), failed_at=failed_at)).recovery is None
    assert only(event(3, rollback=rolled_back())).recovery is None
    assert (
        only(event(3, rollback=rolled_back(RollbackOutcome.FAILED), failed_at=failed_at)).state
        is DeploymentOutcome.FAILED
    )


def test_what_is_known_is_not_lost_to_an_event_that_does_not_say() -> None:
    known = event(1, previous="a", commit="4f9c2ab", deployed=BEGAN, profiles=("hotfix",), issues=("login: fail",))
    found = only(known, event(5, smoke=Verdict.PASS))
    assert (found.previous, found.commit, found.deployed) == ("a", "4f9c2ab", BEGAN)
    assert (found.profiles, found.issues) == (("hotfix",), ("login: fail",))
    assert found.duration == 300.0


def test_the_latest_signature_under_a_line_counts() -> None:
    signed = [
        event(number, kind=EventKind.SIGN_OFF, sign_off=SignOff(line="costs", name=name))
        for number, name in ((1, "Noa"), (2, "Avi"))
    ]
    found = only(*signed)
    signature = found.signature("costs")
    assert signature is not None
    assert (signature.name, signature.at) == ("Avi", BEGAN + timedelta(minutes=2))
    assert found.signature("feedback") is None
    assert len(found.signed) == 2, "the log forgets nobody"


@given(some.permutations([event(number, name, smoke=Verdict.PASS) for number in range(4) for name in ("a", "b")]))
def test_order_and_repetition_do_not_matter(events: list[DeploymentEvent]) -> None:
    assert fold([*events, *events[:3]]) == fold(sorted(events, key=lambda one: (one.at, one.id)))

"""Which revision served before: who can tell, and what follows where they do not agree."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest

from rollback.manual import ManualRequest, roll_back_manually
from tests.rollback.stage import Stage
from verification.clients.service.client import Service
from verification.deadline import Deadline, poll
from verification.records.deployment_log import FILE, LogFile
from verification.records.deployments import DeploymentEvent, EventKind, LoggedRollback, PhaseVerdict
from verification.records.rollback_plan import PreviousRevisionHint, RollbackPlan
from verification.records.run_record import RollbackOutcome
from verification.verdict import Verdict


def codes(plan: RollbackPlan) -> list[str]:
    return [obstacle.code for obstacle in plan.obstacles]


def judged(
    stage: Stage, revision: str, verdict: Verdict, rollback: RollbackOutcome | None = None, guard: str = ""
) -> None:
    """Have the deployment log, which other runners may write too, know what became of `revision`."""
    at, service = datetime.now(UTC), stage.cloud_run.settings.service
    event = DeploymentEvent(
        id=f"{revision}/{verdict}",
        kind=EventKind.RUN,
        at=at,
        environment="sandbox",
        service=service,
        revision=revision,
        phases={"smoke": PhaseVerdict(verdict=verdict, ended=at)},
        rollback=LoggedRollback(outcome=rollback, guard=guard) if rollback else None,
    )
    LogFile(stage.folder / FILE).append([event])


def test_a_fresh_runner_without_record_and_note_finds_it_from_the_request_log_alone(stage: Stage) -> None:
    good = stage.release().current
    stage.ask_as_users()
    bad = stage.release("login-broken").current
    plan = stage.plan()
    assert (plan.revision, plan.target, plan.obstacles, plan.unconfirmed) == (bad, good, (), "")
    assert plan.evidence.startswith("request log: it answered 12 users in a row, last 20")
    assert stage.roll_back(plan).verified
    assert stage.serving == {good: 100}


def test_where_the_log_is_silent_the_request_counts_tell(stage: Stage) -> None:
    good = stage.release().current
    stage.ask_as_users()
    stage.put_faults("logging-down")
    stage.release("login-broken")
    plan = poll(lambda: found if (found := stage.plan()).target else None, Deadline.after(20), 0.1)
    assert plan is not None
    assert plan.target == good
    assert plan.evidence.startswith("request counts: it answered")


def test_observers_that_are_down_are_no_contradiction_and_no_evidence(stage: Stage) -> None:
    stage.release()
    stage.ask_as_users()
    stage.put_faults("logging-down", "monitoring-down")
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    assert (plan.target, plan.evidence, plan.obstacles) == (note.previous, "the deploy workflow's note", ())
    assert plan.unconfirmed.startswith("request log: Cloud Logging gave no usable answer")
    alone = stage.plan()
    assert (alone.target, codes(alone)) == ("", ["target_unknown"])
    assert "Cloud Logging gave no usable answer" in alone.obstacles[0].text
    assert "Cloud Monitoring gave no usable answer" in alone.obstacles[0].text


def test_all_who_tell_the_same_are_named_as_evidence(stage: Stage) -> None:
    stage.release()
    stage.plan()
    stage.ask_as_users()
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    assert plan.target == note.previous
    users, record, noted = plan.evidence.split("; ")
    assert users.startswith("request log: it answered 12 users in a row")
    assert record.startswith("serving record: it was seen serving at")
    assert noted == "the deploy workflow's note"


def test_a_note_that_contradicts_what_users_saw_is_withheld_with_both_named(stage: Stage) -> None:
    noted = stage.release().current
    seen = stage.release().current
    stage.ask_as_users()
    bad = stage.release("login-broken").current
    plan = stage.plan(noted)
    assert (plan.target, codes(plan)) == ("", ["target_disputed"])
    assert f"{seen} is named by request log: it answered 12 users" in plan.obstacles[0].text
    assert f"{noted} is named by the deploy workflow's note" in plan.obstacles[0].text
    result = stage.roll_back(plan)
    assert (result.outcome, result.guard) == (RollbackOutcome.WITHHELD, "target_disputed")
    assert result.next_step.endswith(f"--to-revision {seen}`"), "what users were answered by"
    assert stage.serving == {bad: 100}


def test_a_note_that_names_a_revision_that_was_rolled_back_is_not_followed(stage: Stage) -> None:
    good = stage.release().current
    stage.plan()
    rolled_back = stage.release("login-broken").current
    stage.roll_back(stage.plan())
    stage.set_traffic({})
    bad = stage.release("search-broken").current
    plan = stage.plan(rolled_back)
    assert (plan.target, codes(plan)) == ("", ["target_was_bad"])
    assert f"{rolled_back} was rolled back" in plan.obstacles[0].text
    assert f"{good} is named by serving record" in plan.obstacles[0].text
    assert stage.roll_back(plan).guard == "target_was_bad"
    assert stage.serving == {bad: 100}


@pytest.mark.parametrize("rollback", [None, RollbackOutcome.FAILED, RollbackOutcome.DONE], ids=str)
def test_what_another_runner_has_judged_bad_is_no_target_whoever_names_it(
    rollback: RollbackOutcome | None, stage: Stage
) -> None:
    before = stage.release().current
    stage.ask_as_users()
    stage.release()
    judged(stage, before, Verdict.FAIL, rollback)
    plan = stage.plan(before)
    assert (plan.target, codes(plan)) == ("", ["target_was_bad"])
    judged(stage, before, Verdict.PASS)
    again = stage.plan(before)
    assert again.target == ("" if rollback else before), "a rollback stays one, a verdict is followed by the next"


@pytest.mark.parametrize(
    ("guard", "bad"), [("previous_no_better", False), ("failed_before_the_deployment", False), ("not_allowed", True)]
)
def test_what_failed_for_its_surroundings_alone_is_no_bad_revision(stage: Stage, guard: str, bad: bool) -> None:
    before = stage.release().current
    stage.ask_as_users()
    judged(stage, before, Verdict.FAIL, RollbackOutcome.WITHHELD, guard)
    stage.release("login-broken")
    plan = stage.plan(before)
    assert (plan.target, codes(plan)) == (("", ["target_was_bad"]) if bad else (before, []))


def test_after_a_failed_rollback_and_a_hand_that_pinned_the_good_one_that_is_the_target(stage: Stage) -> None:
    """B failed, and its rollback too; a person pinned A; C fails. Not B, though it was the last to be recorded."""
    good = stage.release().current
    stage.plan()
    worse = stage.release("login-broken").current
    stage.plan()
    judged(stage, worse, Verdict.FAIL, RollbackOutcome.FAILED)
    stage.set_traffic({good: 100})
    stage.ask_as_users()
    bad = stage.release("login-broken").current
    stage.set_traffic({})
    for noted in ("", good):
        plan = stage.plan(noted)
        assert (plan.revision, plan.target, plan.obstacles) == (bad, good, ())
        assert "request log: " in plan.evidence
    assert stage.roll_back(plan).verified
    assert stage.serving == {good: 100}


def test_the_same_on_a_fresh_runner_is_known_from_what_users_saw(stage: Stage) -> None:
    good = stage.release().current
    stage.release("login-broken")
    stage.set_traffic({good: 100})
    stage.ask_as_users()
    stage.release("login-broken")
    stage.set_traffic({})
    assert stage.plan().target == good


def test_where_a_note_cannot_be_right_the_others_and_what_could_serve_are_named(stage: Stage) -> None:
    good = stage.release().current
    stage.ask_as_users()
    bad = stage.release("login-broken").current
    for noted, wrong in ((bad, "but that is the one that serves now"), ("gone", "but Cloud Run has no such revision")):
        [obstacle] = stage.plan(noted).obstacles
        assert obstacle.code == "target_unknown"
        assert f"the deploy workflow's note names {noted} as the previous revision, {wrong}; {good} is named by" in (
            obstacle.text
        )
        assert "request log: it answered 12 users in a row" in obstacle.text
        assert f"Ready and older: {good} (created " in obstacle.text


@pytest.mark.parametrize("asked", [True, False])
def test_by_hand_the_likeliest_is_in_the_command(asked: bool, stage: Stage) -> None:
    """What users were answered by; where nobody can tell, the newest that is Ready and older."""
    older = stage.release().current
    newer = stage.release().current
    if asked:
        stage.ask_as_users()
    stage.release("login-broken")
    hint = PreviousRevisionHint(older if asked else "gone", "variable PREVIOUS_REVISION")
    lines: list[str] = []
    result = roll_back_manually(ManualRequest(1, "", hint), stage.context(), lines.append)
    assert result.guard == ("target_disputed" if asked else "target_unknown"), result.reason
    assert result.next_step.endswith(f"--to-revision {newer}`")
    assert older in result.reason
    assert newer in result.reason


@pytest.mark.parametrize("code", ["target_disputed", "target_was_bad"])
def test_a_step_back_by_hand_is_no_guess_either(code: str, stage: Stage) -> None:
    noted = stage.release().current
    seen = stage.release().current
    stage.ask_as_users()
    bad = stage.release("login-broken").current
    if code == "target_was_bad":
        judged(stage, noted, Verdict.FAIL)
    hint = PreviousRevisionHint(noted, "variable PREVIOUS_REVISION")
    lines: list[str] = []
    result = roll_back_manually(ManualRequest(1, "", hint), stage.context(), lines.append)
    assert (result.outcome, result.guard) == (RollbackOutcome.WITHHELD, code)
    assert noted in result.reason
    assert seen in result.reason
    assert stage.serving == {bad: 100}
    named = roll_back_manually(ManualRequest(1, seen, hint), stage.context(), lines.append)
    assert (named.outcome, named.to_revision) == (RollbackOutcome.DONE, seen), "who names one is not argued with"


def test_our_own_questions_are_no_users_and_do_not_hide_what_was_created_since(stage: Stage) -> None:
    stage.release()
    stage.ask_as_users()
    unseen = stage.release().current
    with closing(Service(stage.settings.target, stage.settings.smoke)) as service:
        for _ in range(12):
            assert service.get("/health").code == 200
    stage.release("login-broken")
    plan = stage.plan()
    assert (plan.target, codes(plan)) == ("", ["target_unknown"])
    assert f"nobody has asked {unseen}, created since" in plan.obstacles[0].text

"""The tags of runs' controls: one for each run, within Cloud Run's limits, and nobody else's is ever touched."""

from __future__ import annotations

import re

import pytest

from rollback.evidence.control_tag import is_control_tag, new_control_tag, put_up, remove_control_tag, take_away
from tests.clients.relay import Relay
from tests.rollback.stage import Stage
from verification.clients.google.cloud_run import CloudRun
from verification.deadline import Deadline
from verification.errors import ObserverError
from verification.settings.service import CloudRunSettings

OTHERS = "dv-control-0a1b2c"


def tags(stage: Stage) -> set[str]:
    return {line.tag for line in stage.cloud_run.settled_service(10).tags}


@pytest.mark.parametrize(("length", "prefix"), [(18, "dv-control-"), (29, "dv-control-"), (30, "dv-"), (37, "dv-")])
def test_each_run_has_a_tag_of_its_own_that_fits(length: int, prefix: str) -> None:
    service = "s" * length
    first, second = new_control_tag(service), new_control_tag(service)
    assert first != second
    for tag in (first, second):
        assert re.fullmatch(rf"{prefix}[0-9a-f]{{6}}", tag)
        assert len(tag) + length <= 46
        assert is_control_tag(tag)


@pytest.mark.parametrize("tag", ["", "candidate", "dv-control-", "dv-control-0a1b2", "dv-beef", "my-dv-control-0a1b2c"])
def test_other_tags_are_none_of_a_control(tag: str) -> None:
    assert not is_control_tag(tag)


def test_a_tag_that_does_not_fit_is_refused_in_words_and_never_cut() -> None:
    service = "s" * 38
    cloud_run = CloudRun(CloudRunSettings(service=service, region="us-east1", project="project"))
    with pytest.raises(ObserverError, match="have 47 characters together, and Cloud Run allows 46"):
        cloud_run.set_tag(new_control_tag(service), "revision", 5)


def test_a_tag_of_another_run_on_another_revision_is_in_nobodys_way(stage: Stage) -> None:
    older = stage.release().previous
    note = stage.release()
    stage.cloud_run.set_tag(OTHERS, older, 10)
    tag = new_control_tag(stage.cloud_run.settings.service)
    assert put_up(stage.cloud_run, tag, note.previous, Deadline.after(10))
    assert tags(stage) == {OTHERS, tag}
    assert take_away(stage.cloud_run, stage.journal, tag) == ""
    assert tags(stage) == {OTHERS}


def test_another_run_that_writes_at_the_same_moment_keeps_nobody_from_setting_its_own(
    stage: Stage, relay: Relay
) -> None:
    note = stage.release()
    tag = new_control_tag(stage.cloud_run.settings.service)
    direct = CloudRun(stage.cloud_run.settings.model_copy(update={"endpoint": relay.upstream}), timeout=5)

    def first_comes_the_other(method: str, _: str) -> None:
        if method == "PATCH" and relay.count("PATCH") == 1:
            direct.set_tag(OTHERS, note.previous, 10)

    relay.before = first_comes_the_other
    assert put_up(stage.cloud_run, tag, note.previous, Deadline.after(10))
    assert relay.count("PATCH") == 2
    assert tags(stage) == {OTHERS, tag}


def test_a_rollback_takes_its_own_tag_away_and_no_other(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan, own = stage.plan(note.previous), "dv-control-abcdef"
    stage.journal.write("control-tag-set", tag=own, revision=note.previous)
    for tag in (own, OTHERS, "candidate"):
        stage.cloud_run.set_tag(tag, note.previous, 10)
    before = stage.generation
    assert stage.roll_back(plan).verified
    assert tags(stage) == {OTHERS, "candidate"}
    assert stage.generation == before + 1, "the shift has taken it along"
    assert "control-tag-removed" in stage.events


def test_a_journal_of_another_service_takes_nothing_away(stage: Stage) -> None:
    note = stage.release()
    elsewhere = stage.cloud_run.settings.model_copy(update={"service": "another"})
    stage.journal.armed(elsewhere, stage.plan(note.previous))
    stage.journal.write("control-tag-set", tag=OTHERS, revision=note.previous)
    stage.cloud_run.set_tag(OTHERS, note.previous, 10)
    assert remove_control_tag(stage.cloud_run, stage.journal).endswith("/us-east1/another")
    assert tags(stage) == {OTHERS}


def test_tags_of_other_runs_are_said_at_the_start_with_the_command(stage: Stage) -> None:
    note = stage.release()
    for tag in (OTHERS, "dv-control-123456", "candidate"):
        stage.cloud_run.set_tag(tag, note.previous, 10)
    snapshot = stage.snapshot(note.previous)
    assert (snapshot.plan.target, snapshot.plan.obstacles) == (note.previous, ())
    [notice] = snapshot.notices
    assert notice.startswith(
        "tags of other runs are there at 0 % of the traffic: dv-control-0a1b2c, dv-control-123456."
    )
    assert "gcloud run services update-traffic bayit-plus-backend" in notice
    assert "--remove-tags=dv-control-0a1b2c,dv-control-123456" in notice
    stage.set_traffic({note.current: 50, note.previous: 50})
    assert stage.snapshot(note.previous).notices == (), "their tags are gone"

"""The revision from before is asked what has failed: production moves only where that answers better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import web
from tests.runs.conftest import Ran, Runner, World, until
from verification.records.journal import JournalView


def tags(world: World) -> list[str]:
    """The tags of production's service."""
    place = world.document
    path = f"projects/{place['project']}/locations/{place['region']}/services"
    service = f"{place['cloud_run']['rest']}/v2/{path}/{place['environments']['production']['service']}"
    found: dict[str, Any] = web.get(service).raise_for_status().json()
    return [line["tag"] for line in found["traffic"] if line.get("tag")]


def control(ran: Ran) -> str:
    """What the journal says of the control."""
    return next(entry.text("verdict") for entry in ran.journal if entry.event == "control")


def test_a_release_that_does_worse_is_rolled_back_and_the_tag_goes(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "search-broken", variables=world.variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "done"
    assert ran.verdict.rollback.helped
    assert control(ran) == "better"
    assert "search: 0 of 3 answers were bad" in ran.verdict.rollback.reason
    afterwards = next(entry for entry in ran.journal if entry.event == "asked-after")
    assert "search: 0 of 3 answers were bad" in afterwards.text("reason")
    assert (afterwards.fields["still_failing"], afterwards.fields["works_again"]) == ([], ["search"])
    assert all("Why production moved" in text for text in (ran.report, (ran.folder / "summary.md").read_text("utf-8")))
    assert tags(world) == []


def test_where_the_revision_from_before_fails_as_well_nothing_moves_and_people_are_called(
    run: Runner, world: World
) -> None:
    world.release("search-broken")
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "search-broken", variables=world.variables)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.guard) == ("withheld", "previous_no_better")
    assert control(ran) == "no better"
    assert all(words in ran.report for words in ("Why it did not", "Guard <code>previous_no_better</code>"))
    assert "search: 3 of 3 answers were bad" in ran.said
    assert f"python -m rollback -e sandbox --to-revision {world.note()['previous']}" in ran.said
    assert "told #incidents" in ran.said
    assert world.answering() == {world.note()["current"]}
    assert tags(world) == []


def test_a_password_that_was_changed_is_nobodys_failure(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release()
    file = production(('policy = "manual"', 'policy = "automatic"'))
    variables = {**account, "SMOKE_USER_PASSWORD": "rotated", "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.guard == "previous_no_better"
    assert world.answering() == {note["current"]}
    assert tags(world) == []


def test_a_blip_leaves_no_tag(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release()
    file = production(
        ('policy = "manual"', 'policy = "automatic"'),
        more="""
            [criteria]
            paths = ["team"]
        """,
    )
    (file.parent / "team").mkdir()
    (file.parent / "team" / "test_once.py").write_text(
        "import pytest\n\nasked = []\n\n\n@pytest.mark.smoke\ndef test_fails_once():\n"
        "    asked.append(1)\n    assert len(asked) > 1\n"
    )
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 0, ran.said
    assert {"control-tag-set", "control-tag-removed"} <= {entry.event for entry in ran.journal}
    assert tags(world) == []


def test_who_was_silent_when_the_run_began_is_asked_again_when_a_rollback_is_due(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str], criteria: Callable[[str], str]
) -> None:
    before = world.answering().pop()  # as users do: the request log knows who answered them
    world.release("search-broken")
    world.break_("logging-down", "monitoring-down")
    waits = """
        import pathlib
        import time

        @pytest.mark.smoke
        def test_waits():
            deadline = time.monotonic() + 30
            while not pathlib.Path(__file__).with_name("go").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
    """
    file = production(('policy = "manual"', 'policy = "automatic"'), more=criteria(waits))
    process = run.start("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)

    def armed() -> bool:
        return any(JournalView.read(path).has("armed") for path in run.output.glob("*/journal.jsonl"))

    until(armed, "what a rollback would do")
    world.break_()
    (file.parent / "team" / "go").touch()
    ran = run.end(process)
    assert "no rollback would be possible" in ran.said
    assert ran.verdict.rollback.outcome == "done", ran.said
    assert world.answering() == {before}


@pytest.mark.parametrize(
    ("fault", "said"), [("canonical-host", "redirects to another address"), ("trusted-hosts", "answered 400")]
)
def test_a_revision_that_is_answered_otherwise_at_a_tags_address_cannot_be_asked_there(
    fault: str, said: str, run: Runner, world: World
) -> None:
    before = world.answering()
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", f"search-broken,{fault}", variables=world.variables)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.verified) == ("done", True)
    assert control(ran) == "unknown"
    assert said in ran.verdict.rollback.reason
    assert world.answering() == before
    assert tags(world) == []


def test_a_wrong_password_that_is_refused_otherwise_than_expected_moves_nothing_and_does_not_pass(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release()
    file = production(('policy = "manual"', 'policy = "automatic"'), ("refused_with = 401", "refused_with = 403"))
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 75, ran.said
    assert (ran.of("login"), ran.verdict.rollback.outcome) == ("inconclusive", "not needed")
    assert "refused with 401, expected 403" in ran.report


def test_whether_a_wrong_password_is_refused_again_is_not_known_as_it_is_tried_once_in_a_run(
    run: Runner, world: World
) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "password-unchecked", variables=world.variables)
    assert ran.verdict.rollback.outcome == "done"
    assert control(ran) == "unknown"
    assert "it is asked once in a run" in ran.verdict.rollback.reason
    assert ran.verdict.rollback.verified is False
    assert ran.code == 70, ran.said


def test_what_may_not_be_asked_more_often_is_not_called_mended(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release("login-broken")
    file = production(('policy = "manual"', 'policy = "automatic"'), ("asked_at_most = 16", "asked_at_most = 3"))
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert control(ran) == "unknown"
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.verified) == ("done", False)
    assert "it is not known whether login" in ran.verdict.rollback.reason
    assert ran.code == 70, ran.said


def test_tags_that_are_there_already_are_in_nobodys_way_and_stay(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    """As a run that was killed, or one at the same time, leaves them: on whichever revision."""
    older = world.note()["previous"]
    note, others = world.release(), ["dv-control", "dv-control-0a1b2c"]
    world.tag(older, *others)
    file = production(('policy = "manual"', 'policy = "automatic"'))
    variables = {**account, "SMOKE_USER_PASSWORD": "rotated", "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.guard, control(ran)) == ("previous_no_better", "no better")
    assert world.answering() == {note["current"]}
    assert "a tag of other runs is there at 0 % of the traffic: dv-control-0a1b2c" in ran.said
    assert tags(world) == others

"""What a person reads first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.banner import Banner, headline, next_steps, notices, rollback_sentence, steps, tally
from verification.records.run_record import RollbackOutcome, RollbackResult, RunRecord
from verification.verdict import Verdict


def test_go_is_said_only_of_a_run_in_which_every_criterion_passed(record: RunRecord) -> None:
    assert headline(record).word == "GO"
    record.criteria_in_phase += 1
    assert headline(record).word == "UNKNOWN"
    assert "1 of 3 criteria in these phases were not run." in notices(record)


def test_a_failed_run_is_a_no_go(failed: RunRecord) -> None:
    assert (headline(failed).banner, headline(failed).word) == (Banner.NO_GO, "NO-GO")
    assert tally(failed) == "3 of 3 criteria ran: 1 fail, 1 inconclusive, 1 pass"


def test_what_the_run_ended_before_is_part_of_the_headline(failed: RunRecord) -> None:
    failed.unasked, failed.criteria_in_phase = ("search", "login"), 5
    assert "2 of 5 were not asked" in headline(failed).sentence
    failed.criteria = [one for one in failed.criteria if one.verdict is not Verdict.FAIL]
    assert headline(failed).sentence == "The run ended early: not enough was measured."


def test_an_unmeasured_run_is_neither(failed: RunRecord) -> None:
    failed.criteria = [one for one in failed.criteria if one.verdict is not Verdict.FAIL]
    failed.criteria_in_phase = 2
    assert headline(failed).banner is Banner.UNKNOWN
    assert rollback_sentence(failed) == "No rollback: nothing was found to be bad."


@pytest.mark.parametrize(
    ("outcome", "verified", "mood", "said"),
    [
        (RollbackOutcome.FAILED, None, Banner.EMERGENCY, "A person is needed NOW: the rollback failed."),
        (RollbackOutcome.WITHHELD, None, Banner.EMERGENCY, "A person is needed NOW: no rollback took place."),
        (
            RollbackOutcome.DONE,
            False,
            Banner.EMERGENCY,
            "A person is needed NOW: rolled back to backend-00042, and",
        ),
        (RollbackOutcome.DONE, True, Banner.NO_GO, "Rolled back to backend-00042; the service is well again."),
        (RollbackOutcome.DONE, None, Banner.NO_GO, "the service has not been checked since"),
    ],
)
def test_what_became_of_production_comes_before_the_verdict(
    rolled_back: RunRecord, outcome: RollbackOutcome, verified: bool | None, mood: Banner, said: str
) -> None:
    rolled_back.rollback = replace(rolled_back.rollback, outcome=outcome, verified=verified)
    head = headline(rolled_back)
    assert head.word == "NO-GO"
    assert head.banner is mood
    assert said in head.sentence


def test_a_rollback_after_an_ambiguous_watch_is_never_shown_as_go(record: RunRecord) -> None:
    record.rollback = RollbackResult(RollbackOutcome.DONE, to_revision="backend-00042", verified=True)
    assert headline(record).word == "NO-GO"


def test_a_dry_run_is_no_emergency_and_says_what_it_is(failed: RunRecord) -> None:
    failed.dry_run = True
    failed.rollback = RollbackResult(RollbackOutcome.WITHHELD, reason="dry run")
    assert headline(failed).banner is Banner.NO_GO
    assert notices(failed)[0].startswith("Dry run")


def test_the_rollback_is_told_in_one_sentence(rolled_back: RunRecord) -> None:
    told = (
        "Traffic moved from backend-00043 to backend-00042 through cloud_run in 2.1 s. Verified: the service is well."
    )
    assert rollback_sentence(rolled_back) == told
    rolled_back.rollback = replace(rolled_back.rollback, verified=False, reason="NOT VERIFIED: /health answers 503")
    assert rollback_sentence(rolled_back).endswith("in 2.1 s. NOT VERIFIED: /health answers 503.")


def test_a_failure_that_no_revision_could_mend_says_why_nothing_was_rolled_back(failed: RunRecord) -> None:
    failed.criteria[-1] = replace(failed.criteria[-1], fixable_by_rollback=False)
    assert rollback_sentence(failed) == "No rollback: what failed is nothing that another revision would mend."


def test_an_emergency_always_comes_with_a_command(rolled_back: RunRecord) -> None:
    rolled_back.rollback = replace(rolled_back.rollback, outcome=RollbackOutcome.FAILED, next_step="")
    assert [one.text for one in next_steps(rolled_back) if one.is_command] == [
        "python -m rollback -e production status"
    ]


@pytest.mark.parametrize(
    ("text", "commands", "prose"),
    [
        ("Do it by hand: gcloud run services list", ["gcloud run services list"], ["Do it by hand:"]),
        (
            "gcloud auth login\n  pytest -m smoke --env staging",
            ["gcloud auth login", "pytest -m smoke --env staging"],
            [],
        ),
        ("Run `python -m rollback -e production -n 1`", ["python -m rollback -e production -n 1"], ["Run"]),
        ("Run `gcloud auth login`, or set X.", ["gcloud auth login"], ["Run", "or set X."]),
        (
            "Mend it, then: `pytest -m smoke --env x`. Or: `git revert x`.",
            ["pytest -m smoke --env x", "git revert x"],
            ["Mend it, then:", "Or:"],
        ),
        ("Look into .env first.", [], ["Look into .env first."]),
        ("Ask the person who makes the coffee.", [], ["Ask the person who makes the coffee."]),
        ("", [], []),
    ],
)
def test_commands_stand_apart_from_the_prose_of_a_remedy(text: str, commands: list[str], prose: list[str]) -> None:
    assert [one.text for one in steps(text) if one.is_command] == commands
    assert [one.text for one in steps(text) if not one.is_command] == prose


def test_criteria_without_settings_are_named_with_the_missing_section(record: RunRecord) -> None:
    record.not_configured = {"video_playback": "[flows.playback]"}
    assert notices(record) == ("Not configured, so not part of this run: video_playback (needs [flows.playback]).",)

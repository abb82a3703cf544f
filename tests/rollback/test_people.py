"""Who is called after a rollback, with what; what an outage of Slack or GitHub does to that; and that nobody hears twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import web
from rollback.notify.message import CUT_OFF
from rollback.notify.outbox import call_people, send_open, send_queued
from rollback.notify.restore_offer import with_restore_offer
from tests.clients.relay import relay_to
from tests.rollback.stage import Stage
from verification.deadline import now
from verification.migrations.findings import note
from verification.records.journal import Journal
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult
from verification.verdict import Measurement, Verdict

HOSTILE = "login is 500 <!channel> @everyone [x](http://evil.example) `rm`"
FAILURE = CriterionResult(
    "login",
    "Users can log in",
    "smoke",
    Verdict.FAIL,
    (Measurement("status", 500, source="POST /api/v1/auth/login", limit=200, rule="="),),
    reason=HOSTILE,
)
BAD, GOOD = "bayit-plus-backend-00008-bad", "bayit-plus-backend-00007-tad"
DONE = RollbackResult(
    RollbackOutcome.DONE,
    ("login",),
    strategy="cloud_run",
    from_revision=BAD,
    to_revision=GOOD,
    seconds=2.1,
    verified=True,
    reason="The traffic is pinned now",
    next_step="With the mended release: `gcloud run services update-traffic ... --to-latest`",
)


class Office:
    """Those who are called, with what they have heard since."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.variables = stage.sandbox.variables({})
        self._heard = {name: len(one()) for name, one in self._ears().items()}

    def heard(self) -> dict[str, int]:
        """How many new messages, tickets and alarms there are."""
        return {name: len(one()) - self._heard[name] for name, one in self._ears().items()}

    def messages(self) -> list[dict[str, Any]]:
        answer = web.get(f"{self.stage.sandbox.addresses.operator}/slack").raise_for_status().json()
        found: list[dict[str, Any]] = next(
            (one["messages"] for one in answer["channels"] if one["name"] == "incidents"), []
        )
        return found

    def tickets(self) -> list[dict[str, Any]]:
        there = self.stage.sandbox.addresses.github
        answer = web.get(
            f"{there.url}/repos/{there.repository}/issues",
            params={"state": "all", "labels": "incident", "per_page": "100"},
            headers={"Authorization": f"Bearer {there.token}"},
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def alarms(self) -> list[dict[str, Any]]:
        there = self.stage.sandbox.addresses.pagerduty
        answer = web.get(
            f"{there.url}/incidents", params={"limit": "100"}, headers={"Authorization": f"Token token={there.token}"}
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()["incidents"]
        return found

    def call(self, result: RollbackResult = DONE, **more: Any) -> tuple[str, ...]:
        return call_people(
            self.stage.settings, self.variables, self.stage.journal, result, failures=[FAILURE], commit="c0ffee", **more
        )

    def send(self) -> tuple[str, ...]:
        return send_queued(self.stage.folder, self.stage.settings, self.variables)

    def _ears(self) -> dict[str, Any]:
        return {"slack": self.messages, "github": self.tickets, "pagerduty": self.alarms}


@pytest.fixture
def office(stage: Stage) -> Iterator[Office]:
    stage.journal = Journal(stage.folder / f"{stage.folder.name}-run" / "journal.jsonl")
    stage.journal.begun(environment="sandbox", phases=("smoke",), allowed=True, dry_run=False)
    yield Office(stage)
    stage.put_faults()


def test_everybody_hears_what_the_checklist_says(office: Office) -> None:
    office.stage.journal.failed("login", "it is 500")
    told = office.call(logs=["ERROR no such table"])
    assert office.heard() == {"slack": 1, "github": 1, "pagerduty": 1}
    assert [line.partition(" (")[0] for line in told] == [
        "told #incidents", "told an incident ticket on GitHub", "told PagerDuty",
    ]  # fmt: skip
    text = office.messages()[-1]["text"]
    for words in (
        ":warning: Sandbox deployment rolled back",
        "Reason: login: ",
        f"Current revision: {GOOD}",
        "root cause",
    ):
        assert words in text
    assert "<!channel>" not in text
    ticket = office.tickets()[0]
    assert {one["name"] for one in ticket["labels"]} == {"incident", "P1"}
    assert "rolled back: bayit-plus-backend (login)" in ticket["title"]
    for words in (
        BAD,
        GOOD,
        "`status: 500`",
        "ERROR no such table",
        "failed criterion=login",
        "- [ ] Schedule the post-",
    ):
        assert words in ticket["body"]
    assert HOSTILE not in ticket["body"]
    assert "rolled back" in office.alarms()[-1]["title"]


def test_nobody_hears_twice(office: Office) -> None:
    office.call()
    assert office.call() == ()
    assert office.send() == ()
    assert office.heard() == {"slack": 1, "github": 1, "pagerduty": 1}


def test_what_was_said_before_its_note_was_lost_is_found_again(office: Office) -> None:
    """As after a kill between the sending and the line in the journal."""
    office.call()
    path = office.stage.journal.path
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if "call-sent" not in line]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert len(office.send()) == 3
    assert office.heard() == {"slack": 1, "github": 1, "pagerduty": 1}


def test_an_outage_queues_what_is_said_and_the_next_run_says_it(office: Office) -> None:
    office.stage.put_faults("slack-down", "github-down")
    told = office.call()
    assert sum("could not be told" in line and "it is queued" in line for line in told) == 2
    assert any("#incidents" in line and "503" in line for line in told)
    office.stage.put_faults()
    assert office.heard() == {"slack": 0, "github": 0, "pagerduty": 1}
    assert len(office.send()) == 2
    assert office.send() == ()
    assert office.heard() == {"slack": 1, "github": 1, "pagerduty": 1}


def test_whoever_takes_over_sends_what_a_killed_run_has_queued(office: Office) -> None:
    office.stage.put_faults("slack-down")
    office.call()
    office.stage.put_faults()
    stage = office.stage
    assert len(send_open(stage.journal.path, stage.settings, office.variables)) == 1
    assert send_open(stage.journal.path, stage.settings, office.variables) == ()
    assert office.heard() == {"slack": 1, "github": 1, "pagerduty": 1}


def test_a_ticket_whose_answer_is_lost_is_not_opened_twice(office: Office) -> None:
    github = office.stage.settings.github
    assert github is not None
    before = office.stage.settings
    with relay_to(github.url) as lossy:
        lossy.loses = {"POST"}
        moved = github.model_copy(update={"url": lossy.address})
        office.stage.settings = before.model_copy(update={"github": moved})
        assert any("ticket on GitHub could not be told" in line for line in office.call())
    office.stage.settings = before
    assert len(office.send()) == 1
    assert office.heard()["github"] == 1


def test_what_is_said_is_queued_before_it_is_sent(office: Office) -> None:
    office.call()
    events = [one.event for one in office.stage.entries]
    assert events[1:] == ["call-queued"] * 3 + ["call-sent"] * 3


def test_a_missing_token_is_told_and_keeps_nobody_else_from_hearing(office: Office) -> None:
    del office.variables["SLACK_BOT_TOKEN"], office.variables["PAGERDUTY_ROUTING_KEY"]
    told = " ".join(office.call())
    assert "SLACK_BOT_TOKEN is not set" in told
    assert "PAGERDUTY_ROUTING_KEY is not set" in told
    assert office.heard() == {"slack": 0, "github": 1, "pagerduty": 0}


def test_a_dry_run_tells_nobody_and_says_what_it_would(office: Office) -> None:
    told = office.call(dry_run=True)
    assert told[0].startswith("dry run: would tell #incidents: ⚠️ Sandbox deployment rolled back")
    assert office.send() == ()
    assert office.heard() == {"slack": 0, "github": 0, "pagerduty": 0}


@pytest.mark.parametrize(
    ("outcome", "verified", "words"),
    [
        (RollbackOutcome.FAILED, None, "could NOT be rolled back: a person is needed now"),
        (RollbackOutcome.WITHHELD, None, "was not rolled back: a person decides"),
        (RollbackOutcome.DONE, False, "NOT verified to be well: a person is needed now"),
    ],
)
def test_what_needs_a_person_says_so_with_the_command(
    outcome: RollbackOutcome, verified: bool | None, words: str, office: Office
) -> None:
    office.call(replace(DONE, outcome=outcome, verified=verified, next_step="python -m rollback -e production"))
    text = office.messages()[-1]["text"]
    assert words in text
    assert "python -m rollback -e production" in text


def test_nobody_is_called_about_nothing(office: Office) -> None:
    assert office.call(RollbackResult(RollbackOutcome.NOT_NEEDED)) == ()
    assert office.stage.events == ["begun"]


@pytest.mark.parametrize(
    ("settled", "said"),
    [
        ({"outcome": "failed"}, "could NOT be rolled back"),
        ({"outcome": "withheld", "guard": "cut_off", "triggers": [CUT_OFF]}, "its verification was cut off"),
    ],
)
def test_a_run_that_was_killed_before_it_called_is_made_up_for(
    settled: dict[str, object], said: str, office: Office
) -> None:
    path = office.stage.journal.path
    then = (now() - timedelta(minutes=10)).isoformat()
    settled |= {"from_revision": BAD, "to_revision": GOOD, "reason": "refused", "next_step": "x"}
    lines: list[dict[str, object]] = [
        {"event": "begun", "environment": "sandbox", "phases": ["smoke"]},
        {"event": "failed", "criterion": "login", "trigger": True},
        {"event": "settled", **settled},
    ]
    text = "\n".join(json.dumps({"seq": n, "at": then, **line}) for n, line in enumerate(lines)) + "\n"
    path.write_text(text, encoding="utf-8")
    assert len(office.send()) == 3
    assert said in office.messages()[-1]["text"]
    assert office.send() == ()


# The database


def test_a_restore_is_offered_where_the_release_destroyed_something(stage: Stage, tmp_path: Path) -> None:
    note(tmp_path, "c0ffee", ("migrations/0007.py:3: drop: db.users.drop()",))
    offered = with_restore_offer(DONE, stage.settings, tmp_path, "c0ffee")
    assert "db.users.drop()" in offered.next_step
    assert "Nothing was restored" in offered.next_step
    assert offered.next_step.startswith(DONE.next_step)
    assert with_restore_offer(DONE, stage.settings, tmp_path, "another") == DONE
    note(tmp_path, "c0ffee", ())
    assert with_restore_offer(DONE, stage.settings, tmp_path, "c0ffee") == DONE

"""A report goes to its ticket once, however often it is sent, and waits while the ticket cannot be reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import web
from reports import record_file
from reports.__main__ import main
from reports.tickets.ticket import DeployTicket, attach, waiting
from tests.conftest import ROOT, Address
from verification.errors import SettingsError
from verification.local_sandbox.sandbox import Sandbox, open_sandbox
from verification.records.run_record import RunRecord
from verification.settings.loading import load
from verification.settings.model import Settings

Attach = Callable[..., None]


@pytest.fixture(scope="module")
def there(sandbox: Address) -> Iterator[Sandbox]:
    with open_sandbox({"SANDBOX": sandbox["operator"]}) as found:
        yield found


@pytest.fixture(scope="module")
def settings(there: Sandbox) -> Settings:
    return there.settings(load(ROOT / "deployment.toml", "sandbox").settings)


@pytest.fixture
def folder(rolled_back: RunRecord, tmp_path: Path) -> Path:
    return _run(tmp_path / f"run-{tmp_path.name}", rolled_back)


def _run(folder: Path, record: RunRecord) -> Path:
    folder.mkdir(exist_ok=True)
    record.environment = "sandbox"
    record_file.write(folder / "record.json", record)
    (folder / "report.html").write_text("<!DOCTYPE html><p>the report", encoding="utf-8")
    return folder


@pytest.fixture
def hand_over(there: Sandbox, settings: Settings) -> Attach:
    def attach_it(folder: Path, *tickets: str) -> None:
        entries = attach(folder, [DeployTicket.parse(one) for one in tickets], settings, there.variables({}))
        assert [(one.state, one.problem) for one in entries] == [("attached", "")] * len(tickets)

    return attach_it


@pytest.fixture
def outage(sandbox: Address) -> Iterator[Callable[..., None]]:
    def put(*faults: str) -> None:
        web.put(f"{sandbox['operator']}/faults", json={"faults": list(faults)}, timeout=20).raise_for_status()

    yield put
    put()


def _github(sandbox: Address, path: str) -> Any:
    there = sandbox["github"]
    headers = {"Authorization": f"Bearer {there['token']}"}
    return web.get(f"{there['url']}/repos/{there['repository']}{path}", headers=headers, timeout=20).json()


def _comments(sandbox: Address, folder: Path) -> list[str]:
    found = _github(sandbox, "/issues/2/comments?per_page=100")
    return [one["body"] for one in found if folder.name in one["body"]]


def test_an_issue_gets_one_comment_that_changes(
    folder: Path, rolled_back: RunRecord, hand_over: Attach, sandbox: Address
) -> None:
    hand_over(folder, "github:2")
    assert "NO\\-GO" in _comments(sandbox, folder)[0] or "NO-GO" in _comments(sandbox, folder)[0]
    rolled_back.notices = ["looked at again"]
    _run(folder, rolled_back)
    hand_over(folder, "github:2")
    [comment] = _comments(sandbox, folder)
    assert "looked at again" in comment


def test_another_run_gets_a_comment_of_its_own(
    folder: Path, rolled_back: RunRecord, hand_over: Attach, sandbox: Address
) -> None:
    other = _run(folder.with_name(f"{folder.name}-2"), rolled_back)
    hand_over(folder, "github:2")
    hand_over(other, "github:2")
    assert (len(_comments(sandbox, folder)), len(_comments(sandbox, other))) == (2, 1)  # one name begins the other


def test_a_summary_that_is_too_long_is_cut_and_says_so(
    folder: Path, rolled_back: RunRecord, hand_over: Attach, sandbox: Address
) -> None:
    rolled_back.criteria = [replace(rolled_back.criteria[0], id=f"criterion_{number}") for number in range(1000)]
    hand_over(_run(folder, rolled_back), "github:2")
    [comment] = _comments(sandbox, folder)
    assert 60_000 < len(comment) <= 65_536
    assert comment.endswith("the report has the rest.")


def test_a_release_gets_the_report_as_a_file_and_keeps_its_notes(
    folder: Path, hand_over: Attach, sandbox: Address
) -> None:
    for _ in range(2):
        hand_over(folder, "github-release:v2.40.0")
    release = _github(sandbox, "/releases/tags/v2.40.0")
    assert [one["name"] for one in release["assets"] if folder.name in one["name"]] == [
        f"deployment-report-{folder.name}.html"
    ]
    assert release["body"].startswith("Subtitles in time.")
    assert release["body"].count(f"<!-- deployment-verification {folder.name} -->") == 1


def test_a_jira_issue_gets_attachment_and_comment(
    folder: Path, rolled_back: RunRecord, hand_over: Attach, sandbox: Address
) -> None:
    rolled_back.notices = ["{noformat} *bold* [~everyone]"]
    _run(folder, rolled_back)
    for _ in range(2):
        hand_over(folder, "jira:ops-12")
    there = sandbox["jira"]
    issue = f"{there['url']}/rest/api/2/issue/OPS-12"
    with web.Client(auth=(there["email"], there["token"]), timeout=20) as jira:
        attachments = jira.get(issue).json()["fields"]["attachment"]
        comments = [one["body"] for one in jira.get(f"{issue}/comment").json()["comments"]]
    assert [one["filename"] for one in attachments if folder.name in one["filename"]] == [
        f"deployment-report-{folder.name}.html"
    ]
    [comment] = [one for one in comments if folder.name in one]
    assert comment.count("{noformat}") == 2, "what came from outside does not end the block that keeps it inert"
    assert "login status is 500" in comment


def _slack_files(sandbox: Address, folder: Path) -> list[tuple[str, str]]:
    """The report's messages in #deployments: thread and text."""
    said = web.get(f"{sandbox['operator']}/slack", timeout=20).json()["channels"]
    return [
        (one["thread_ts"], one["text"])
        for channel in said
        if channel["name"] == "deployments"
        for one in channel["messages"]
        for file in one["files"]
        if folder.name in file["name"]
    ]


def test_slack_gets_the_file_in_one_thread(
    folder: Path, rolled_back: RunRecord, hand_over: Attach, sandbox: Address
) -> None:
    rolled_back.commit = folder.name
    rolled_back.phases = ("smoke", "<!channel>")
    _run(folder, rolled_back)
    for _ in range(2):
        hand_over(folder, "slack")
    [(_, text)] = _slack_files(sandbox, folder)
    assert "&lt;!channel&gt;" in text


def test_what_cannot_be_handed_over_waits_and_is_sent_later(
    folder: Path, there: Sandbox, settings: Settings, sandbox: Address, outage: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    outage("github-down")
    tickets = [DeployTicket.parse("github:2"), DeployTicket.parse("jira:OPS-12")]
    waits, sent = attach(folder, tickets, settings.model_copy(update={"github": settings.github}), there.variables({}))
    assert (waits.state, sent.state) == ("queued", "attached")
    assert "503" in waits.problem
    assert waiting(folder) == [tickets[0]]

    monkeypatch.setenv("SANDBOX", str(sandbox["operator"]))
    arguments = ["attach", str(folder), "--deployment", str(ROOT / "deployment.toml")]
    assert main(arguments) == 1, "it still waits"
    outage()
    assert main(arguments) == 0
    assert len(_comments(sandbox, folder)) == 1
    assert main(arguments) == 0
    assert "No ticket waits" in capsys.readouterr().out
    assert {one["state"] for one in json.loads((folder / "ticket.json").read_text())["tickets"]} == {"attached"}


def test_a_token_that_may_not_write_is_said_to(
    folder: Path, there: Sandbox, settings: Settings, sandbox: Address
) -> None:
    variables = there.variables({}) | {"GITHUB_TOKEN": sandbox["github"]["token_without_scope"]}
    [entry] = attach(folder, [DeployTicket.parse("github:2")], settings, variables)
    assert entry.state == "queued"
    assert "not permitted (403)" in entry.problem


@pytest.mark.parametrize("text", ["github", "github:", "github:0", "github:x", "jira:OPS", "slack:x", "mail:me", ""])
def test_what_names_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="names no ticket"):
        DeployTicket.parse(text)

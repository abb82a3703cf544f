"""Hand a run's report and summary to the deploy ticket: a GitHub issue or release, a Jira issue, a Slack thread.

What could not be handed over waits in the run's folder (`ticket.json`), and `python -m reports attach RUN` tries again.
The second time changes what the first one left: nothing is said twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reports import summary
from reports.run_files import RunFiles
from reports.tickets import slack_thread
from verification.deadline import now
from verification.errors import SettingsError, VerificationError
from verification.records.atomic import write_whole
from verification.records.run_record import RunRecord
from verification.redaction import redact
from verification.settings.model import Settings

_Table = TypeVar("_Table")
_FORMS = {
    "github": (r"[1-9]\d{0,9}", "github:NUMBER (an issue)"),
    "github-release": (r"\S{1,200}", "github-release:TAG"),
    "jira": (r"[A-Za-z][A-Za-z0-9_]*-\d+", "jira:KEY-NUMBER"),
    "slack": ("", "slack"),
}


@dataclass(frozen=True, slots=True)
class DeployTicket:
    """Where a report goes: `system` is one of `_FORMS`, `name` says which ticket there."""

    system: str
    name: str

    @classmethod
    def parse(cls, text: str) -> DeployTicket:
        """The ticket that `--ticket` names. Raises SettingsError."""
        system, colon, name = text.strip().partition(":")
        form = _FORMS.get(system)
        if form is None or bool(colon) != bool(form[0]) or not re.fullmatch(form[0], name):
            listed = ", ".join(words for _, words in _FORMS.values())
            raise SettingsError(f"--ticket {text} names no ticket", f"It is one of: {listed}.")
        return cls(system, name.upper() if system == "jira" else name)

    def __str__(self) -> str:
        return f"{self.system}:{self.name}" if self.name else self.system


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TicketStatus(_Closed):
    """What became of one ticket; `problem` is why it waits."""

    ticket: str
    state: Literal["queued", "attached"]
    at: datetime
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.ticket}: {self.state}{': ' if self.problem else ''}{self.problem}"


class _TicketFile(_Closed):
    tickets: tuple[TicketStatus, ...] = ()


def waiting(folder: Path) -> list[DeployTicket]:
    """The tickets that a run's report has not reached yet. Raises SettingsError for a file that is not ours."""
    return [DeployTicket.parse(status.ticket) for status in _statuses(folder) if status.state == "queued"]


def attach(
    folder: Path, tickets: Sequence[DeployTicket], settings: Settings, variables: Mapping[str, str]
) -> tuple[TicketStatus, ...]:
    """Hand the run in `folder` to each of `tickets`, and note what became of it. Raises OSError, VerificationError."""
    files = RunFiles(folder)
    record = files.read_record()
    deliveries = [_Delivery(ticket, files, record, settings, variables) for ticket in tickets]
    _note(folder, [delivery.status("queued", "not sent yet") for delivery in deliveries])
    statuses = tuple(map(_attached, deliveries))
    _note(folder, statuses)
    return statuses


def _attached(delivery: _Delivery) -> TicketStatus:
    try:
        _SYSTEMS[delivery.ticket.system](delivery)
    except VerificationError as problem:
        return delivery.status("queued", problem.cause)
    except OSError as problem:
        return delivery.status("queued", str(problem))
    return delivery.status("attached")


@dataclass(frozen=True, slots=True)
class _Delivery:
    ticket: DeployTicket
    files: RunFiles
    record: RunRecord
    settings: Settings
    variables: Mapping[str, str]

    def status(self, state: Literal["queued", "attached"], problem: str = "") -> TicketStatus:
        return TicketStatus(ticket=str(self.ticket), state=state, at=now(), problem=redact(problem))

    @property
    def key(self) -> str:
        """What tells this run's report from another's: the name of its folder."""
        return self.files.folder.resolve().name

    @property
    def file_name(self) -> str:
        return f"deployment-report-{self.key}.html"

    @property
    def report(self) -> bytes:
        return self.files.report.read_bytes()


def _to_github_issue(delivery: _Delivery) -> None:
    from verification.clients.github.client import GitHub

    with closing(GitHub(_configured(delivery.settings.github, "github"), delivery.variables)) as github:
        # GitHub takes no files by its API: the summary says it all, and where the report is.
        text = f"{summary.markdown(delivery.record)}\n{_where(delivery)}"
        github.comment(int(delivery.ticket.name), text, delivery.key)


def _to_github_release(delivery: _Delivery) -> None:
    from verification.clients.github.client import GitHub

    with closing(GitHub(_configured(delivery.settings.github, "github"), delivery.variables)) as github:
        text = summary.short(delivery.record)
        github.add_to_release(delivery.ticket.name, delivery.file_name, delivery.report, text, delivery.key)


def _to_jira(delivery: _Delivery) -> None:
    from verification.clients.jira import Jira

    with closing(Jira(_configured(delivery.settings.jira, "jira"), delivery.variables)) as jira:
        jira.attach(delivery.ticket.name, delivery.file_name, delivery.report)
        lines = [line for line, _ in summary.terminal(delivery.record)]
        jira.comment(delivery.ticket.name, "\n".join([*lines, f"Report: {delivery.file_name}"]), delivery.key)


def _to_slack(delivery: _Delivery) -> None:
    from verification.clients.slack.client import Slack, release_key

    settings = _configured(delivery.settings.slack, "slack")
    client = Slack.of(settings, delivery.variables)
    commit, text = delivery.record.commit, slack_thread.message(delivery.record)
    thread = client.find(settings.deployments, release_key(commit)) if commit else None
    if thread is None:
        thread = client.announce(settings.deployments, text, [text], f"report-of-{delivery.key}")
    client.upload(delivery.file_name, delivery.report, text, thread)


def _configured(table: _Table | None, name: str) -> _Table:
    """The settings' table `name`. Raises SettingsError where there is none."""
    if table is None:
        raise SettingsError(f"[{name}] is not configured", f"Add the table [{name}] to deployment.toml.")
    return table


def _where(delivery: _Delivery) -> str:
    server, repository, run = (
        delivery.variables.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if re.fullmatch(r"https://[\w.-]+", server) and re.fullmatch(r"[\w.-]+/[\w.-]+", repository) and run.isdigit():
        return f"The report is among the files of [this run]({server}/{repository}/actions/runs/{run}).\n"
    return ""


_SYSTEMS: dict[str, Callable[[_Delivery], None]] = {
    "github": _to_github_issue,
    "github-release": _to_github_release,
    "jira": _to_jira,
    "slack": _to_slack,
}


def _note(folder: Path, statuses: Sequence[TicketStatus]) -> None:
    known = {status.ticket: status for status in (*_statuses(folder), *statuses)}
    write_whole(folder / "ticket.json", _TicketFile(tickets=tuple(known.values())).model_dump_json(indent=2) + "\n")


def _statuses(folder: Path) -> tuple[TicketStatus, ...]:
    try:
        return _TicketFile.model_validate_json((folder / "ticket.json").read_bytes()).tickets
    except FileNotFoundError:
        return ()
    except (ValidationError, OSError) as error:
        raise SettingsError(
            f"{folder / 'ticket.json'} cannot be read: {type(error).__name__}", "Name the tickets with --ticket."
        ) from None

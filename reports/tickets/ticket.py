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
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from reports import record_file, summary
from reports.banner import SYMBOLS, headline, tally
from reports.text import plain
from verification.errors import SettingsError, VerificationError
from verification.records.atomic import write_whole
from verification.records.run_record import RunRecord
from verification.redaction import redact
from verification.settings.model import Settings
from verification.verdict import now

_FORMS = {
    "github": (r"[1-9]\d{0,9}", "github:NUMBER (an issue)"),
    "github-release": (r"\S{1,200}", "github-release:TAG"),
    "jira": (r"[A-Za-z][A-Za-z0-9_]*-\d+", "jira:KEY-NUMBER"),
    "slack": ("", "slack"),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a report goes: `system` is one of `_FORMS`, `name` says which ticket there."""

    system: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """Raises SettingsError."""
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


class Entry(_Closed):
    """What became of one ticket; `problem` is why it waits."""

    ticket: str
    state: Literal["queued", "attached"]
    at: datetime
    problem: str = ""


class _File(_Closed):
    tickets: tuple[Entry, ...] = ()


def waiting(folder: Path) -> list[Ticket]:
    """The tickets that a run's report has not reached yet. Raises SettingsError for a file that is not ours."""
    return [Ticket.parse(one.ticket) for one in _entries(folder) if one.state == "queued"]


def attach(
    folder: Path, tickets: Sequence[Ticket], settings: Settings, variables: Mapping[str, str]
) -> tuple[Entry, ...]:
    """Hand the run in `folder` to each of `tickets`, and note what became of it. Raises OSError, VerificationError."""
    record = record_file.read(folder / "record.json")
    _note(folder, [Entry(ticket=str(one), state="queued", at=now(), problem="not sent yet") for one in tickets])
    entries = tuple(_attached(one, folder, record, settings, variables) for one in tickets)
    _note(folder, entries)
    return entries


def _attached(
    ticket: Ticket, folder: Path, record: RunRecord, settings: Settings, variables: Mapping[str, str]
) -> Entry:
    try:
        _SYSTEMS[ticket.system](_Parcel(ticket, folder, record, settings, variables))
    except (VerificationError, OSError) as problem:
        words = problem.cause if isinstance(problem, VerificationError) else str(problem)
        return Entry(ticket=str(ticket), state="queued", at=now(), problem=redact(words))
    return Entry(ticket=str(ticket), state="attached", at=now())


@dataclass(frozen=True, slots=True)
class _Parcel:
    ticket: Ticket
    folder: Path
    record: RunRecord
    settings: Settings
    variables: Mapping[str, str]

    @property
    def key(self) -> str:
        """What tells this run's report from another's: the name of its folder."""
        return self.folder.resolve().name

    @property
    def name(self) -> str:
        return f"deployment-report-{self.key}.html"

    @property
    def report(self) -> bytes:
        return (self.folder / "report.html").read_bytes()

    @property
    def words(self) -> str:
        """Two lines of plain text."""
        head = headline(self.record)
        said = f"{SYMBOLS[head.mood]} {', '.join(self.record.phases)}: {head.word}: {head.sentence}"
        return f"{plain(said)}\n{plain(tally(self.record))}"


def _to_github_issue(parcel: _Parcel) -> None:
    from verification.clients.github.client import GitHub

    if parcel.settings.github is None:
        raise SettingsError("[github] is not configured", "Add the table [github] to deployment.toml.")
    with closing(GitHub(parcel.settings.github, parcel.variables)) as github:
        # GitHub takes no files by its API: the summary says it all, and where the report is.
        where = _where(parcel)
        github.comment(int(parcel.ticket.name), f"{summary.markdown(parcel.record)}\n{where}", parcel.key)


def _to_github_release(parcel: _Parcel) -> None:
    from verification.clients.github.client import GitHub

    if parcel.settings.github is None:
        raise SettingsError("[github] is not configured", "Add the table [github] to deployment.toml.")
    with closing(GitHub(parcel.settings.github, parcel.variables)) as github:
        text = summary.short(parcel.record)
        github.add_to_release(parcel.ticket.name, parcel.name, parcel.report, text, parcel.key)


def _to_jira(parcel: _Parcel) -> None:
    from verification.clients.jira import Jira

    if parcel.settings.jira is None:
        raise SettingsError("[jira] is not configured", 'Add [jira] url = "https://…" to deployment.toml.')
    with closing(Jira(parcel.settings.jira, parcel.variables)) as jira:
        jira.attach(parcel.ticket.name, parcel.name, parcel.report)
        lines = [line for line, _ in summary.terminal(parcel.record)]
        jira.comment(parcel.ticket.name, "\n".join([*lines, f"Report: {parcel.name}"]), parcel.key)


def _to_slack(parcel: _Parcel) -> None:
    from verification.clients.slack.client import Slack, release_key

    settings = parcel.settings.slack
    if settings is None:
        raise SettingsError("[slack] is not configured", "Add the table [slack] to deployment.toml.")
    client = Slack.of(settings, parcel.variables)
    commit = parcel.record.commit
    thread = client.find(settings.deployments, release_key(commit)) if commit else None
    if thread is None:
        thread = client.announce(settings.deployments, parcel.words, [parcel.words], f"report-of-{parcel.key}")
    client.upload(parcel.name, parcel.report, parcel.words, thread)


def _where(parcel: _Parcel) -> str:
    server, repository, run = (
        parcel.variables.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if re.fullmatch(r"https://[\w.-]+", server) and re.fullmatch(r"[\w.-]+/[\w.-]+", repository) and run.isdigit():
        return f"The report is among the files of [this run]({server}/{repository}/actions/runs/{run}).\n"
    return ""


_SYSTEMS: dict[str, Callable[[_Parcel], None]] = {
    "github": _to_github_issue,
    "github-release": _to_github_release,
    "jira": _to_jira,
    "slack": _to_slack,
}


def _note(folder: Path, entries: Sequence[Entry]) -> None:
    known = {one.ticket: one for one in (*_entries(folder), *entries)}
    write_whole(folder / "ticket.json", _File(tickets=tuple(known.values())).model_dump_json(indent=2) + "\n")


def _entries(folder: Path) -> tuple[Entry, ...]:
    try:
        return _File.model_validate_json((folder / "ticket.json").read_bytes()).tickets
    except FileNotFoundError:
        return ()
    except (ValidationError, OSError) as error:
        raise SettingsError(
            f"{folder / 'ticket.json'} cannot be read: {type(error).__name__}", "Name the tickets with --ticket."
        ) from None

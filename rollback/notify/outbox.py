"""Call people after a rollback, and when one was due that did not happen; never twice, and not less than once.

What is to be said is queued in the run's journal before it is sent. An outage of Slack, GitHub or PagerDuty delays
nothing but the message: the next run of the same environment sends it. Nothing here raises.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rollback.notify.channels import Call, Channel, channels_of
from rollback.notify.message import CUT_OFF, Incident
from rollback.notify.uncalled import uncalled
from verification.errors import VerificationError
from verification.records.journal import Entry, Journal, read
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult
from verification.redaction import redact
from verification.settings.model import Settings
from verification.verdict import now

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_BACK = timedelta(days=14)  # as far as Slack is searched for what was said before
_QUEUED, _SENT, _FAILED = "call-queued", "call-sent", "call-failed"


def call_people(
    settings: Settings,
    variables: Mapping[str, str],
    journal: Journal,
    result: RollbackResult,
    *,
    commit: str = "",
    failures: Sequence[CriterionResult] = (),
    logs: Sequence[str] = (),
    dry_run: bool = False,
) -> tuple[str, ...]:
    """Tell everybody whom the settings name what became of the rollback; a line for each, for the report.

    `failures` are the criteria that called for it, `logs` lines of the service's log around them. A `dry_run` tells
    nobody, and says whom it would have told what.
    """
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        return ()
    try:
        incident = Incident(
            settings, result, commit, tuple(failures), tuple(read(journal.path)), logs, journal.path.parent.name
        )
        channels = channels_of(settings)
        if dry_run or not channels:
            journal.write("call-skipped", reason="dry run" if dry_run else "no channel is configured")
        if dry_run:
            return tuple(f"dry run: would tell {one.where}: {one.said(incident)[0]}" for one in channels)
        if not channels:
            return ("nobody was told: neither slack nor people.github nor people.pagerduty is configured",)
        return _sent(journal, _queued(incident, journal, channels), channels, variables, settings.people.timeout)
    except Exception as error:  # whoever is not told must not keep the report from being written
        return (redact(f"people could not be called: {type(error).__name__}: {error}"),)


def call_after_a_kill(
    settings: Settings,
    variables: Mapping[str, str],
    journal: Journal,
    message: str,
    result: RollbackResult,
    *,
    told_by: str = "",
) -> None:
    """Tell people of a run that was killed, and of what was done in its stead; on the terminal, too. Never raises.

    `told_by` names the run that acted in its stead, if that has told the channels already: nobody hears twice.
    """
    journal.write("people-called", environment=settings.environment, message=message)
    if told_by:
        journal.write("call-skipped", reason=f"{told_by} told people")
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        result = replace(result, outcome=RollbackOutcome.WITHHELD, triggers=(CUT_OFF,))
    result = replace(result, reason=message)
    here = settings.sandbox and not settings.targets  # it was the run's own sandbox, and whom it names is gone with it
    told = () if here or told_by else call_people(settings, variables, journal, result)
    with suppress(OSError):  # whoever read it may have gone
        print(redact("\n".join((message, *told))), file=sys.stderr, flush=True)


def send_queued(
    output: Path, settings: Settings, variables: Mapping[str, str], besides: Path | None = None
) -> tuple[str, ...]:
    """Send what earlier runs of this environment, below `output`, could not; a line for each.

    `besides` is the journal of a run that has just tried. What is older than two weeks is left: whether it was said
    before could not be found out.
    """
    told: list[str] = []
    channels = channels_of(settings)
    try:
        for path in sorted(output.glob("*/journal.jsonl")):
            entries = read(path)
            if path == besides or _environment(entries) != settings.environment:
                continue
            left = uncalled(entries)
            if left is not None:
                told += call_people(settings, variables, Journal(path), left)
                continue
            open_calls = [one for one in _open(entries) if now() - one.at < _LOOK_BACK]
            if open_calls:
                told += _sent(Journal(path), open_calls, channels, variables, settings.people.timeout)
    except Exception as error:
        told.append(redact(f"queued calls could not be sent: {type(error).__name__}: {error}"))
    return tuple(told)


def _queued(incident: Incident, journal: Journal, channels: Sequence[Channel]) -> list[Call]:
    """What is to be said now; noted first, unless an earlier attempt on the same run has noted it."""
    result = incident.result
    key = f"{journal.path.parent.name}-{result.from_revision or 'unknown'}-{result.outcome.value}"
    known = {one.text("call"): one for one in read(journal.path) if one.event == _QUEUED}
    calls = []
    for channel in channels:
        name = f"{key}-{channel.name}"
        if name in known:
            calls.append(_call(known[name]))
            continue
        title, text = channel.said(incident)
        call = Call(name, channel.name, title, text, now())
        journal.write(
            _QUEUED,
            call=call.id,
            channel=call.channel,
            title=call.title,
            text=call.text,
            environment=incident.settings.environment,
        )
        calls.append(call)
    return calls


def _sent(
    journal: Journal, calls: Sequence[Call], channels: Sequence[Channel], variables: Mapping[str, str], timeout: float
) -> tuple[str, ...]:
    """Send the calls side by side, and note what became of each."""
    by_name = {one.name: one for one in channels}
    with _alone(journal.path, timeout):
        done = {one.text("call") for one in read(journal.path) if one.event == _SENT}
        wanted = [(one, by_name[one.channel]) for one in calls if one.id not in done and one.channel in by_name]
        if not wanted:
            return ()
        with ThreadPoolExecutor(len(wanted)) as pool:
            answers = list(pool.map(lambda pair: _attempt(pair[0], pair[1], variables, timeout), wanted))
        lines = []
        for (call, channel), (link, problem) in zip(wanted, answers, strict=True):
            if problem:
                journal.write(_FAILED, call=call.id, channel=call.channel, reason=problem)
                lines.append(f"{channel.where} could not be told: {problem}; it is queued, and the next run sends it")
            else:
                journal.write(_SENT, call=call.id, channel=call.channel, link=link)
                lines.append(f"told {channel.where} ({link})")
        return tuple(redact(one) for one in lines)


def _attempt(call: Call, channel: Channel, variables: Mapping[str, str], timeout: float) -> tuple[str, str]:
    """Where it can be read, or why it was not sent."""
    try:
        return channel.send(call, variables, timeout), ""
    except VerificationError as problem:
        return "", problem.cause
    except Exception as error:
        return "", f"{type(error).__name__}: {error}"


@contextmanager
def _alone(journal: Path, timeout: float) -> Iterator[None]:
    """Nobody else on this machine sends the same calls meanwhile; without a place for the lock, go on without."""
    lock = FileLock(journal.with_suffix(".calls"), timeout=timeout)
    try:
        lock.acquire()
    except (OSError, Timeout):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            journal.with_suffix(".calls").unlink(missing_ok=True)
        lock.release()


def _open(entries: Sequence[Entry]) -> list[Call]:
    sent = {one.text("call") for one in entries if one.event == _SENT}
    return [_call(one) for one in entries if one.event == _QUEUED and one.text("call") not in sent]


def _call(entry: Entry) -> Call:
    return Call(entry.text("call"), entry.text("channel"), entry.text("title"), entry.text("text"), entry.at)


def _environment(entries: Sequence[Entry]) -> str:
    return next((one.text("environment") for one in entries if one.event in {"armed", _QUEUED}), "")

"""Call people after a rollback, and when one was due that did not happen; never twice, and until it has got through.

What is to be said is queued in the run's journal before it is sent. An outage of Slack, GitHub or PagerDuty delays
nothing but the message: the next run of the same environment sends it, but not after two weeks: then it is left, as
whether it was said before could not be found out. A channel that fails is a line of the answer, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from rollback.notify.channels import Call, Channel, channels_of
from rollback.notify.message import CUT_OFF, Incident
from verification.deadline import now
from verification.errors import VerificationError
from verification.records.journal import Journal, JournalEntry, JournalView, journals
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult
from verification.redaction import redact
from verification.settings.model import Settings

_LOOK_BACK = timedelta(days=14)  # as far as Slack is searched for what was said before
_AT_WORK = timedelta(minutes=2)  # so long a run may still be about to call
_NEWS = timedelta(days=1)  # what is older, people know by now
_QUEUED, _SENT, _FAILED, _SKIPPED = "call-queued", "call-sent", "call-failed", "call-skipped"


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
        view = JournalView.read(journal.path)
        incident = Incident(settings, result, commit, tuple(failures), view.entries, logs, view.run)
        channels = channels_of(settings)
        if dry_run or not channels:
            journal.write(_SKIPPED, reason="dry run" if dry_run else "no channel is configured")
        if dry_run:
            return tuple(f"dry run: would tell {channel.where}: {channel.said(incident)[0]}" for channel in channels)
        if not channels:
            return ("nobody was told: no way to call people is configured (slack, people.github, people.pagerduty)",)
        return _send(journal, _queue(incident, journal, channels), channels, variables, settings.people.timeout)
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
) -> str:
    """Tell people of a run that was killed, and of what was done in its stead. Never raises.

    Gives back the message, and a line for each who was told, for whoever is at the terminal.

    `told_by` names the run that acted in its stead, if that has told the channels already: nobody hears twice.
    """
    journal.write("people-called", environment=settings.environment, message=message)
    if told_by:
        journal.write(_SKIPPED, reason=f"{told_by} told people")
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        result = replace(result, outcome=RollbackOutcome.WITHHELD, triggers=(CUT_OFF,))
    result = replace(result, reason=message)
    here = settings.sandbox and not settings.targets  # it was the run's own sandbox, and whom it names is gone with it
    told = () if here or told_by else call_people(settings, variables, journal, result)
    return "\n".join((message, *told))


def has_called(journal: JournalView) -> bool:
    """Whether the run has queued what people are to be told, or need not."""
    return journal.has(_QUEUED, _SENT, _FAILED, _SKIPPED)


def send_open(journal: Path, settings: Settings, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Send what the run of `journal` has queued and not sent; a line for each. Only a channel's failure is caught."""
    calls, within = _open(JournalView.read(journal)), settings.people.timeout
    return _send(Journal(journal), calls, channels_of(settings), variables, within) if calls else ()


def queued_calls(journal: JournalView) -> bool:
    """Whether the run itself has queued what people are to be told."""
    return journal.has(_QUEUED)


def send_queued(
    output: Path, settings: Settings, variables: Mapping[str, str], besides: Path | None = None
) -> tuple[str, ...]:
    """Send what earlier runs of this environment, below `output`, could not; a line for each.

    `besides` is the journal of a run that has just tried. What is older than two weeks is left: whether it was said
    before could not be found out.
    """
    told: list[str] = []
    channels, within = channels_of(settings), settings.people.timeout
    try:
        for view in reversed(journals(output, settings.environment)):
            if view.path == besides:
                continue
            untold = _untold(view)
            if untold is not None:
                told += call_people(settings, variables, Journal(view.path), untold)
                continue
            open_calls = [call for call in _open(view) if now() - call.at < _LOOK_BACK]
            if open_calls:
                told += _send(Journal(view.path), open_calls, channels, variables, within)
    except Exception as error:
        told.append(redact(f"queued calls could not be sent: {type(error).__name__}: {error}"))
    return tuple(told)


def _untold(journal: JournalView) -> RollbackResult | None:
    """What a run came to that was killed before it called people; None where nobody need be called."""
    settled, result = journal.last("settled"), journal.result
    if settled is None or result is None or journal.is_by_hand or has_called(journal):
        return None
    recent = _AT_WORK < now() - settled.at < _NEWS
    return result if recent and result.outcome is not RollbackOutcome.NOT_NEEDED else None


def _queue(incident: Incident, journal: Journal, channels: Sequence[Channel]) -> list[Call]:
    """What is to be said now; noted first, unless an earlier attempt on the same run has noted it."""
    result = incident.result
    key = f"{journal.path.parent.name}-{result.from_revision or 'unknown'}-{result.outcome.value}"
    known = {entry.text("call"): entry for entry in JournalView.read(journal.path).every(_QUEUED)}
    calls = []
    for channel in channels:
        name = f"{key}-{channel.name}"
        if name in known:
            calls.append(_call(known[name]))
            continue
        title, text = channel.said(incident)
        call = Call(name, channel.name, title, text, now())
        journal.write(_QUEUED, call=call.id, channel=call.channel, title=call.title, text=call.text)
        calls.append(call)
    return calls


def _send(
    journal: Journal, calls: Sequence[Call], channels: Sequence[Channel], variables: Mapping[str, str], within: float
) -> tuple[str, ...]:
    """Send the calls side by side, and note what became of each."""
    by_name = {channel.name: channel for channel in channels}
    with _alone(journal.path, within):
        sent = {entry.text("call") for entry in JournalView.read(journal.path).every(_SENT)}
        wanted = [(call, by_name[call.channel]) for call in calls if call.id not in sent and call.channel in by_name]
        if not wanted:
            return ()
        with ThreadPoolExecutor(len(wanted)) as pool:
            answers = list(pool.map(lambda pair: _attempt(pair[0], pair[1], variables, within), wanted))
        lines = []
        for (call, channel), (link, problem) in zip(wanted, answers, strict=True):
            if problem:
                journal.write(_FAILED, call=call.id, channel=call.channel, reason=problem)
                lines.append(f"{channel.where} could not be told: {problem}; it is queued, and the next run sends it")
            else:
                journal.write(_SENT, call=call.id, channel=call.channel, link=link)
                lines.append(f"told {channel.where} ({link})")
        return tuple(map(redact, lines))


def _attempt(call: Call, channel: Channel, variables: Mapping[str, str], within: float) -> tuple[str, str]:
    """Where it can be read, or why it was not sent."""
    try:
        return channel.send(call, variables, within), ""
    except VerificationError as problem:
        return "", problem.cause
    except Exception as error:
        return "", f"{type(error).__name__}: {error}"


@contextmanager
def _alone(journal: Path, within: float) -> Iterator[None]:
    """Nobody else on this machine sends the same calls meanwhile; without a place for the lock, go on without."""
    path = journal.with_suffix(".calls")
    lock = FileLock(path, timeout=within)
    try:
        lock.acquire()
    except (OSError, Timeout):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def _open(journal: JournalView) -> list[Call]:
    sent = {entry.text("call") for entry in journal.every(_SENT)}
    return [_call(entry) for entry in journal.every(_QUEUED) if entry.text("call") not in sent]


def _call(entry: JournalEntry) -> Call:
    return Call(entry.text("call"), entry.text("channel"), entry.text("title"), entry.text("text"), entry.at)

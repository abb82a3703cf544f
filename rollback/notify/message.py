"""What people are told of a rollback, or of one that did not happen: who, what, why, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verification.records.journal import JournalEntry
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult
from verification.redaction import redact
from verification.settings.model import Settings
from verification.verdict import Measurement, show

CUT_OFF = "verification cut off"  # the trigger of a call that no failed criterion caused
_LONGEST_REASON = 600
_MOST_LOGS = 40
_LONGEST_LINE = 400
_NOT_TOLD = {"call-queued", "call-sent", "call-failed"}
_DETAILS = ("criterion", "strategy", "from_revision", "to_revision", "outcome", "reason", "problem", "traffic")
_POST_MORTEM = (
    "Schedule the post-mortem",
    "Document the root cause",
    "Find out why no check before the deployment caught it",
    "Create preventive action items",
    "Deploy the mended release, and let the traffic follow deployments again (it is pinned after a rollback)",
    "Close this ticket",
)


@dataclass(frozen=True, slots=True)
class Incident:
    """A rollback that was due.

    `failures` are the criteria that failed, `timeline` the run's journal so far, `run` the name of its folder, where
    the report with its charts lies.
    """

    settings: Settings
    result: RollbackResult
    commit: str = ""
    failures: tuple[CriterionResult, ...] = ()
    timeline: tuple[JournalEntry, ...] = ()
    logs: Sequence[str] = ()
    run: str = ""

    @property
    def service(self) -> str:
        """The service, as Cloud Run calls it."""
        run = self.settings.target.cloud_run if self.settings.targets else None
        return run.service if run else self.settings.service.name

    @property
    def headline(self) -> str:
        """What happened, in the checklist's words where it has some."""
        deployment = f"{self.settings.environment.capitalize()} deployment"
        if self.result.triggers == (CUT_OFF,):
            return f"⚠️ {deployment}: its verification was cut off, and nobody watches now"
        match self.result.outcome:
            case RollbackOutcome.DONE if self.result.verified:
                return f"⚠️ {deployment} rolled back"
            case RollbackOutcome.DONE:
                return f"🚨 {deployment} rolled back, and NOT verified to be well: a person is needed now"
            case RollbackOutcome.FAILED:
                return f"🚨 {deployment} could NOT be rolled back: a person is needed now"
        return f"🚨 {deployment} is bad, and was not rolled back: a person decides"

    @property
    def reason(self) -> str:
        """Why: what failed, and what else was said of the rollback."""
        failed = "; ".join(f"{failure.id}: {_short(failure.reason)}" for failure in self.failures)
        return _short(failed or ", ".join(self.result.triggers) or "a person asked for it")

    @property
    def current_revision(self) -> str:
        """What serves now, as far as the rollback knows."""
        result = self.result
        done = result.outcome is RollbackOutcome.DONE
        return (result.to_revision if done else result.from_revision) or "not known"

    def message(self) -> str:
        """The checklist's message for #incidents."""
        lines = [self.headline, f"Reason: {self.reason}", f"Current revision: {self.current_revision}"]
        if self.result.outcome is RollbackOutcome.DONE and self.result.verified:
            lines.append("Investigating root cause")
        else:
            lines.append(f"Rollback: {_short(self.result.reason)}")
        if self.result.next_step:
            lines.append(f"Next step: {self.result.next_step}")
        return redact("\n".join(lines))

    def title(self) -> str:
        """One line for a ticket or a pager."""
        why = ", ".join(self.result.triggers[:3])
        return redact(f"{self.headline.partition(' ')[2]}: {self.service}{f' ({why})' if why else ''}")

    def ticket(self) -> str:
        """The ticket in Markdown. What came from outside stands in code, where nothing of it fires."""
        result = self.result
        facts = {
            "Service": self.service,
            "Environment": self.settings.environment,
            "Bad revision": result.from_revision,
            "Went back to": result.to_revision if result.outcome is RollbackOutcome.DONE else "",
            "Serves now": self.current_revision,
            "Commit": self.commit,
            "Report, with the charts": f"reports/output/{self.run}/report.html" if self.run else "",
            "Rolled back through": result.strategy,
            "Seconds until the traffic had moved": "" if result.seconds is None else f"{result.seconds:.1f}",
            "Service well afterwards": {True: "yes", False: "NO", None: ""}[result.verified],
        }
        parts = [
            f"**{self.headline}**",
            "\n".join(f"- {name}: {_code(value)}" for name, value in facts.items() if value),
            f"## Reason\n\n{_code(self.reason)}",
        ]
        if result.reason:
            parts.append(f"## The rollback\n\n{_code(result.reason)}")
        if result.next_step:
            parts.append(f"## Next step\n\n{_fenced([result.next_step])}")
        if self.failures:
            parts.append("## Evidence\n\n" + "\n".join(_evidence(failure) for failure in self.failures))
        if self.logs:
            parts.append(f"## Logs around the failure\n\n{_fenced(self.logs[-_MOST_LOGS:])}")
        if self.timeline:
            lines = [_moment(entry) for entry in self.timeline if entry.event not in _NOT_TOLD]
            parts.append(f"## Timeline (UTC)\n\n{_fenced(lines)}")
        parts.append("## Post-mortem\n\n" + "\n".join(f"- [ ] {task}" for task in _POST_MORTEM))
        return redact("\n\n".join(parts) + "\n")


def _evidence(failure: CriterionResult) -> str:
    lines = [f"- **{_code(failure.id)}**: {_code(failure.title)}"]
    return "\n".join([*lines, *map(_measured, failure.measurements)])


def _measured(found: Measurement) -> str:
    value = "not measured" if found.value is None else show(found.value, found.unit)
    limit = f", expected {_code(f'{found.rule} {show(found.limit, found.unit)}')}" if found.limit is not None else ""
    source = f" ({_code(found.source)}, {found.observed_at:%H:%M:%S} UTC)" if found.source else ""
    return f"  - {_code(f'{found.name}: {value}')}{limit}{source}"


def _moment(entry: JournalEntry) -> str:
    details = [f"{name}={entry.text(name)}" for name in _DETAILS if entry.text(name)]
    return f"{entry.at:%H:%M:%S} {entry.event} {' '.join(details)}".rstrip()


def _code(text: str) -> str:
    """As inline code, on one line: no mention, no link and no markup fires in it."""
    flat = " ".join(text.replace("`", "'").split())
    return f"`{flat}`" if flat else ""


def _fenced(lines: Sequence[str]) -> str:
    shown = "\n".join(map(_line, lines))
    return f"```text\n{shown}\n```"


def _line(text: str) -> str:
    # A fence in the text would end ours.
    flat = " ".join(text.replace("```", "'''").split())
    return flat if len(flat) <= _LONGEST_LINE * 3 else flat[: _LONGEST_LINE * 3] + "…"


def _short(text: str) -> str:
    flat = " ".join(redact(text).split())
    return flat if len(flat) <= _LONGEST_REASON else flat[:_LONGEST_REASON] + "…"

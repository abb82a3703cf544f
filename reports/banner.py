"""What a person must know about a run first, in words: go or no-go, what failed, what was rolled back, what to do.

The report, the summary and the terminal all say these sentences. They are plain text that may hold anything the
service or an outside system answered: whoever shows them escapes them.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum

from reports.text import moment
from verification.records.run_record import POST_DEPLOY_PHASES, CriterionResult, RollbackOutcome, RunRecord
from verification.verdict import WORST_FIRST, Measurement, Verdict, show

_PROGRAM = r"(?:python3? -m|pytest|gcloud|gh|git|curl|docker|mongo\w+|poetry|make)"
# In backticks; or, without, from a colon or the beginning of the line to its end.
_COMMAND = re.compile(rf"`({_PROGRAM} [^`]+)`|(?:(?<=:)\s+|^)({_PROGRAM} [^`]+)$")


class Banner(StrEnum):
    """How loudly a run must be told; the value names the style of the banner."""

    GO = "go"
    NO_GO = "no-go"
    EMERGENCY = "emergency"  # a person is needed now
    UNKNOWN = "unknown"


SYMBOLS = {Banner.GO: "✓", Banner.NO_GO: "✗", Banner.EMERGENCY: "!", Banner.UNKNOWN: "?"}
VERDICT_SYMBOLS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict as one word, and one sentence that says what it means for the deployment."""

    banner: Banner
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RemedyStep:
    """One line of what a person must do: prose, or a command to paste."""

    text: str
    is_command: bool = False


def headline(record: RunRecord) -> Headline:
    """What the run comes to; a rollback, or the want of one, comes before the verdict."""
    return _headline_of_rollback(record) or _headline_of_verdict(record)


def _headline_of_rollback(record: RunRecord) -> Headline | None:
    result = record.rollback
    match result.outcome:
        case RollbackOutcome.NOT_NEEDED:
            return None
        case RollbackOutcome.FAILED:
            return Headline(Banner.EMERGENCY, "NO-GO", "A person is needed NOW: the rollback failed.")
        case RollbackOutcome.WITHHELD if record.dry_run:
            return Headline(Banner.NO_GO, "NO-GO", "Not rolled back: this was a dry run.")
        case RollbackOutcome.WITHHELD:
            return Headline(Banner.EMERGENCY, "NO-GO", "A person is needed NOW: no rollback took place.")
    return _headline_after_rollback(result.to_revision or "the previous revision", result.verified)


def _headline_after_rollback(target: str, verified: bool | None) -> Headline:
    if verified is False:
        return Headline(
            Banner.EMERGENCY,
            "NO-GO",
            f"A person is needed NOW: rolled back to {target}, and not verified to be well.",
        )
    state = "the service is well again" if verified else "the service has not been checked since"
    return Headline(Banner.NO_GO, "NO-GO", f"Rolled back to {target}; {state}.")


def _headline_of_verdict(record: RunRecord) -> Headline:
    if record.verdict is Verdict.FAIL:
        unasked = f", and {len(record.unasked)} of {record.criteria_in_phase} were not asked" if record.unasked else ""
        failed = _criteria(len(record.failures))
        return Headline(Banner.NO_GO, "NO-GO", f"{failed} failed; nothing was rolled back{unasked}.")
    if record.verdict is Verdict.PASS:
        return Headline(Banner.GO, "GO", f"{_criteria(len(record.criteria), every=True)} pass.")
    if record.finished is None and not record.interrupted:
        return Headline(Banner.UNKNOWN, "UNKNOWN", "This run has not finished.")
    if record.interrupted or record.unasked:
        return Headline(Banner.UNKNOWN, "UNKNOWN", "The run ended early: not enough was measured.")
    return Headline(Banner.UNKNOWN, "UNKNOWN", "Not enough was measured to say whether the service is well.")


def rollback_sentence(record: RunRecord) -> str:
    """What became of the rollback, in one sentence; empty where the verdict already says it all."""
    result = record.rollback
    way = f"from {result.from_revision or 'the failing revision'} to {result.to_revision or 'the previous revision'}"
    why = f": {_ended(result.reason)}" if result.reason else "."
    match result.outcome:
        case RollbackOutcome.DONE:
            took = f" in {result.seconds:.1f} s" if result.seconds is not None else ""
            moved = f"Traffic moved {way} through {result.strategy}{took}."
            if not result.strategy:
                moved = f"{result.to_revision or 'The previous revision'} served already: nothing was moved."
            # Where it is not verified, the reason begins with that.
            after = {True: " Verified: the service is well.", False: "", None: " Not checked."}[result.verified]
            said = f" {_ended(result.reason)}" if result.reason else ""
            return f"{moved}{after}{said}"
        case RollbackOutcome.FAILED:
            return f"The rollback {way} did not get through{why}"
        case RollbackOutcome.WITHHELD:
            return f"The rollback {way} was withheld{why}"
    if record.triggers or result.reason:
        return f"No rollback took place{why}"
    if any(result.phase in POST_DEPLOY_PHASES for result in record.failures):
        return "No rollback: what failed is nothing that another revision would mend."
    finished = record.finished is not None
    if finished and record.verdict is Verdict.INCONCLUSIVE and POST_DEPLOY_PHASES.intersection(record.phases):
        return "No rollback: nothing was found to be bad."
    return ""


def rollback_state(record: RunRecord) -> str:
    """What became of the rollback, in as few words as a heading has."""
    result = record.rollback
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        return "none"
    return "done, but not verified" if result.verified is False else result.outcome.value


def next_steps(record: RunRecord) -> tuple[RemedyStep, ...]:
    """What a person must do now, if anything; commands stand alone, to be pasted."""
    if record.rollback.next_step:
        return steps(record.rollback.next_step)
    if headline(record).banner is Banner.EMERGENCY:
        return (
            RemedyStep("See what serves, and what a rollback would do:"),
            RemedyStep(f"python -m rollback -e {shlex.quote(record.environment)} status", is_command=True),
        )
    return ()


def steps(text: str) -> tuple[RemedyStep, ...]:
    """A remedy taken apart, in order: its prose, and the commands in it."""
    found: list[RemedyStep] = []
    for line in (line.strip() for line in text.splitlines()):
        end = 0
        for command in _COMMAND.finditer(line):
            found += _prose(line[end : command.start()])
            found.append(RemedyStep((command[1] or command[2]).strip(), is_command=True))
            end = command.end()
        found += _prose(line[end:])
    return tuple(found)


def _prose(text: str) -> list[RemedyStep]:
    text = re.sub(r"^\.\s+", "", text.strip(" ,;"))  # the end of a sentence whose command stands above
    return [RemedyStep(text)] if re.search(r"\w", text) else []


def notices(record: RunRecord) -> tuple[str, ...]:
    """What else a reader must know before trusting the verdict."""
    said = []
    if record.dry_run:
        said.append("Dry run: nothing was changed, and nobody was told.")
    if record.finished is None and not record.interrupted:
        said.append("This run has not finished: it is under way, or it was killed. Its journal.jsonl says what it did.")
    if record.interrupted:
        said.append(f"The run ended early: {_ended(record.interrupted)}")
    if record.left_out and record.finished is not None:
        said.append(f"{record.left_out} of {_criteria(record.criteria_in_phase)} in these phases were not run.")
    if record.not_configured:
        listed = ", ".join(f"{criterion} (needs {section})" for criterion, section in record.not_configured.items())
        said.append(f"Not configured, so not part of this run: {listed}.")
    return (*said, *record.notices)


def tally(record: RunRecord) -> str:
    """`9 of 9 criteria ran: 1 fail, 8 pass`."""
    ran = len(record.criteria)
    if not ran:
        return "no criterion has been measured"
    counts = [f"{count} {verdict}" for verdict, count in count_by_verdict(record).items() if count]
    if record.finished is None:
        return f"As far as its journal tells: {', '.join(counts)}"
    ends = f": {', '.join(counts)}" if counts else ""
    return f"{ran} of {_criteria(max(record.criteria_in_phase, ran))} ran{ends}"


def count_by_verdict(record: RunRecord) -> dict[Verdict, int]:
    """How many criteria came to each verdict, the worst first."""
    return {verdict: sum(result.verdict is verdict for result in record.criteria) for verdict in WORST_FIRST}


def not_passed(record: RunRecord) -> list[CriterionResult]:
    """The criteria that did not pass: failed ones first."""
    unclear = [result for result in record.criteria if result.verdict is Verdict.INCONCLUSIVE]
    return [*record.failures, *unclear]


def facts(record: RunRecord) -> list[tuple[str, str]]:
    """What was verified, where and when, as label and value; what is unknown is left out."""
    revision = record.revision
    if revision and record.previous_revision:
        revision = f"{revision} (previous: {record.previous_revision})"
    listed = [
        ("Environment", record.environment),
        ("Service", record.service),
        ("Target", record.target),
        ("Revision", revision),
        ("Commit", record.commit),
        ("Phases", ", ".join(record.phases)),
        ("Profiles", ", ".join(record.profiles)),
        ("Started", moment(record.started)),
        ("Took", _took(record)),
    ]
    return [(label, value) for label, value in listed if value]


def value_text(measurement: Measurement) -> str:
    """The value with its limit: `812 ms (must be < 500 ms)`."""
    value = show(measurement.value, measurement.unit)
    return f"{value} ({limit_text(measurement)})" if measurement.rule else value


def limit_text(measurement: Measurement) -> str:
    """The limit with its rule: `must be < 500 ms`; empty where the value is held against nothing."""
    limit = show(measurement.limit, measurement.unit if measurement.rule in {"=", "<", ">", ">="} else "")
    match measurement.rule:
        case "":
            return ""
        case "=" | "between" | "one of":
            return f"must be {limit}"
        case "starts with":
            return f"must start with {limit}"
        case rule:
            return f"must be {rule} {limit}"


def _criteria(count: int, *, every: bool = False) -> str:
    number = f"All {count}" if every and count > 1 else f"{count}"
    return f"{number} {'criterion' if count == 1 else 'criteria'}"


def _took(record: RunRecord) -> str:
    if record.finished is None:
        return ""
    minutes, rest = divmod((record.finished - record.started).total_seconds(), 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _ended(sentence: str) -> str:
    sentence = sentence.strip()
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


FOR_PAGES = (
    *(headline, next_steps, rollback_sentence, rollback_state, notices, facts, tally, count_by_verdict),
    *(value_text, limit_text, steps),
)

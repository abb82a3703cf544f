"""The checklist filled in: each line with its verdict and what it rests on, or with why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reports.checklist_lines import AFTER_ROLLBACK, BEFORE_ROLLBACK, Line, Section
from verification.records.run_record import CriterionResult, RollbackOutcome, RunRecord
from verification.verdict import Measurement, Verdict

_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


class State(StrEnum):
    """How a line stands; the first three are verdicts."""

    PASS = "pass"  # noqa: S105  (a verdict)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PERSON = "needs a person"
    NOT_CONFIGURED = "not configured"
    LEFT_OUT = "not asked"  # although its phase was run
    ABSENT = "not part of this run"


@dataclass(frozen=True, slots=True)
class Answer:
    """A line with how it stands. `results` are the criteria behind it; `values` what else was measured for it."""

    text: str
    state: State
    results: tuple[CriterionResult, ...] = ()
    values: tuple[Measurement, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class FilledPart:
    """A part of a section, line by line."""

    heading: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class FilledSection:
    """A section of the checklist, filled in."""

    heading: str
    parts: tuple[FilledPart, ...]

    @property
    def is_touched(self) -> bool:
        """Whether the run says anything about it."""
        return any(answer.state not in {State.ABSENT, State.PERSON} for answer in self._answers)

    @property
    def why_untouched(self) -> str:
        """Why the run says nothing about it."""
        notes = dict.fromkeys(answer.note for answer in self._answers if answer.note)
        return "; ".join(notes).capitalize() or "Not part of this run"

    @property
    def left_to_people(self) -> list[str]:
        """The lines at which somebody must look in any case."""
        return [answer.text for answer in self._answers if answer.state is State.PERSON]

    @property
    def _answers(self) -> list[Answer]:
        return [answer for part in self.parts for answer in part.answers]


def fill(record: RunRecord) -> tuple[FilledSection, ...]:
    """The whole checklist, in the document's order; then the criteria that are a team's own."""
    before = tuple(_section(one, record) for one in BEFORE_ROLLBACK)
    after = tuple(_section(one, record) for one in AFTER_ROLLBACK)
    return (*before, _rollback(record), *after, *_own(record, (*BEFORE_ROLLBACK, *AFTER_ROLLBACK)))


def _section(section: Section, record: RunRecord) -> FilledSection:
    parts = (FilledPart(one.heading, tuple(_answer(line, record) for line in one.lines)) for one in section.parts)
    return FilledSection(section.heading, tuple(parts))


def _answer(line: Line, record: RunRecord) -> Answer:
    results = tuple(one for one in record.criteria if one.name in line.criteria and one.phase in line.phases)
    if not results:
        return _unanswered(line, record)
    asked = {one.name for one in results}
    missing = [f"{name}: {_why_not(name, record)}" for name in line.criteria if name not in asked]
    return Answer(line.text, State(_worst(results).value), results, note="; ".join(missing))


def _unanswered(line: Line, record: RunRecord) -> Answer:
    if line.person:
        return Answer(line.text, State.PERSON)
    if not set(line.phases) & set(record.phases):
        return Answer(line.text, State.ABSENT)
    if lacking := dict.fromkeys(section for name in line.criteria if (section := _lacking(name, record))):
        return Answer(line.text, State.NOT_CONFIGURED, note=f"needs {', '.join(lacking)}")
    reasons = dict.fromkeys(why for name in line.criteria if (why := _reason(name, record)))
    return Answer(line.text, State.LEFT_OUT if reasons else State.ABSENT, note="; ".join(reasons))


def _why_not(name: str, record: RunRecord) -> str:
    if section := _lacking(name, record):
        return f"not configured (needs {section})"
    return _reason(name, record) or "not part of this run"


def _lacking(name: str, record: RunRecord) -> str:
    """The section of deployment.toml without which the criterion does not exist; empty where it does."""
    return next((section for one, section in record.not_configured.items() if one.partition("[")[0] == name), "")


def _reason(name: str, record: RunRecord) -> str:
    return next((why for one, why in record.not_asked.items() if one.partition("[")[0] == name), "")


def _worst(results: Sequence[CriterionResult]) -> Verdict:
    return min((one.verdict for one in results), key=_WORST_FIRST.index)


def _rollback(record: RunRecord) -> FilledSection:
    """What became of production: the checklist's rollback procedure, as far as it was needed."""
    result = record.rollback
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        absent = tuple(Answer(text, State.ABSENT, note="no rollback was needed") for text in _ROLLBACK_LINES)
        return FilledSection("Rollback", (FilledPart("", absent),))
    if result.outcome is not RollbackOutcome.DONE:
        state = State.FAIL if result.outcome is RollbackOutcome.FAILED else State.INCONCLUSIVE
        moved = Answer(_ROLLBACK_LINES[0], state, note=f"{result.outcome}: {result.reason}")
        rest = tuple(Answer(text, State.PERSON) for text in _ROLLBACK_LINES[1:])
        return FilledSection("Rollback", (FilledPart("", (moved, *rest)),))
    took = f" in {result.seconds:.1f} s" if result.seconds is not None else ""
    moved = Answer(
        _ROLLBACK_LINES[0], State.PASS, note=f"to {result.to_revision}, through {result.strategy or 'Cloud Run'}{took}"
    )
    verified = {True: State.PASS, False: State.FAIL, None: State.INCONCLUSIVE}[result.verified]
    checked = Answer(_ROLLBACK_LINES[1], verified, values=result.checks)
    return FilledSection("Rollback", (FilledPart("", (moved, checked, Answer(_ROLLBACK_LINES[2], State.PERSON))),))


_ROLLBACK_LINES = (
    "Traffic goes back to the previous revision",
    "Service health and traffic are verified afterwards",
    "What went wrong is found, and a post-mortem is held",
)


def _own(record: RunRecord, sections: Sequence[Section]) -> tuple[FilledSection, ...]:
    known = {
        (name, phase)
        for section in sections
        for part in section.parts
        for line in part.lines
        for name in line.criteria
        for phase in line.phases
    }
    own = [one for one in record.criteria if (one.name, one.phase) not in known]
    answers = tuple(Answer(one.title or one.id, State(one.verdict.value), (one,)) for one in own)
    return (FilledSection("Criteria of your own", (FilledPart("", answers),)),) if answers else ()

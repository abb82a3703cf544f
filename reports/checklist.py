"""The checklist filled in: each line with its verdict and what it rests on, or with why it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, product

from reports.checklist_lines import AFTER_ROLLBACK, BEFORE_ROLLBACK, ChecklistLine, ChecklistSection
from verification.records.run_record import CriterionResult, RollbackOutcome, RunRecord
from verification.verdict import WORST_FIRST, Measurement, Verdict


class LineState(StrEnum):
    """How a line stands; the first three are verdicts."""

    PASS = "pass"  # noqa: S105  (a verdict)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PERSON = "needs a person"
    NOT_CONFIGURED = "not configured"
    LEFT_OUT = "not asked"  # although its phase was run
    ABSENT = "not part of this run"


@dataclass(frozen=True, slots=True)
class FilledLine:
    """A line with how it stands. `results` are the criteria behind it; `values` what else was measured for it."""

    text: str
    state: LineState
    results: tuple[CriterionResult, ...] = ()
    values: tuple[Measurement, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class FilledPart:
    """A part of a section, line by line."""

    heading: str
    lines: tuple[FilledLine, ...]


@dataclass(frozen=True, slots=True)
class FilledSection:
    """A section of the checklist, filled in."""

    heading: str
    parts: tuple[FilledPart, ...]

    @property
    def is_touched(self) -> bool:
        """Whether the run says anything about it."""
        return any(line.state not in {LineState.ABSENT, LineState.PERSON} for line in self._lines)

    @property
    def why_untouched(self) -> str:
        """Why the run says nothing about it."""
        notes = dict.fromkeys(line.note for line in self._lines if line.note)
        return "; ".join(notes).capitalize() or "Not part of this run"

    @property
    def left_to_people(self) -> list[str]:
        """The lines at which somebody must look in any case."""
        return [line.text for line in self._lines if line.state is LineState.PERSON]

    @property
    def _lines(self) -> list[FilledLine]:
        return [line for part in self.parts for line in part.lines]


def fill(record: RunRecord) -> tuple[FilledSection, ...]:
    """The whole checklist, in the document's order; then the criteria that are a team's own."""
    before, after = _filled(BEFORE_ROLLBACK, record), _filled(AFTER_ROLLBACK, record)
    return (*before, _rollback(record), *after, *_own(record))


def _filled(sections: Mapping[str, ChecklistSection], record: RunRecord) -> list[FilledSection]:
    return [
        FilledSection(
            heading,
            tuple(
                FilledPart(part, tuple(_filled_line(line, record) for line in lines)) for part, lines in parts.items()
            ),
        )
        for heading, parts in sections.items()
    ]


def _filled_line(line: ChecklistLine, record: RunRecord) -> FilledLine:
    results = tuple(
        result for result in record.criteria if result.name in line.criteria and result.phase in line.phases
    )
    if not results:
        return _line_without_result(line, record)
    asked = {result.name for result in results}
    missing = [f"{name}: {_why_not(name, record)}" for name in line.criteria if name not in asked]
    return FilledLine(line.text, LineState(_worst(results).value), results, note="; ".join(missing))


def _line_without_result(line: ChecklistLine, record: RunRecord) -> FilledLine:
    if line.person:
        return FilledLine(line.text, LineState.PERSON)
    if not set(line.phases) & set(record.phases):
        return FilledLine(line.text, LineState.ABSENT)
    if lacking := dict.fromkeys(section for name in line.criteria if (section := _noted(name, record.not_configured))):
        return FilledLine(line.text, LineState.NOT_CONFIGURED, note=f"needs {', '.join(lacking)}")
    reasons = dict.fromkeys(why for name in line.criteria if (why := _noted(name, record.not_asked)))
    return FilledLine(line.text, LineState.LEFT_OUT if reasons else LineState.ABSENT, note="; ".join(reasons))


def _why_not(name: str, record: RunRecord) -> str:
    if section := _noted(name, record.not_configured):
        return f"not configured (needs {section})"
    return _noted(name, record.not_asked) or "not part of this run"


def _noted(name: str, notes: Mapping[str, str]) -> str:
    """What `notes` say of the criterion, for whichever role; empty where they say nothing."""
    return next((note for criterion, note in notes.items() if criterion.partition("[")[0] == name), "")


def _worst(results: Sequence[CriterionResult]) -> Verdict:
    return min((result.verdict for result in results), key=WORST_FIRST.index)


def _rollback(record: RunRecord) -> FilledSection:
    """What became of production: the checklist's rollback procedure, as far as it was needed."""
    result = record.rollback
    moved, checked, reviewed = (FilledLine(text, LineState.PERSON) for text in _ROLLBACK_LINES)
    match result.outcome:
        case RollbackOutcome.NOT_NEEDED:
            note = "no rollback was needed"
            moved, checked, reviewed = (FilledLine(text, LineState.ABSENT, note=note) for text in _ROLLBACK_LINES)
        case RollbackOutcome.DONE:
            took = f" in {result.seconds:.1f} s" if result.seconds is not None else ""
            note = f"to {result.to_revision}, through {result.strategy or 'Cloud Run'}{took}"
            state = {True: LineState.PASS, False: LineState.FAIL, None: LineState.INCONCLUSIVE}[result.verified]
            moved = replace(moved, state=LineState.PASS, note=note)
            checked = replace(checked, state=state, values=result.checks)
        case _:
            state = LineState.FAIL if result.outcome is RollbackOutcome.FAILED else LineState.INCONCLUSIVE
            moved = replace(moved, state=state, note=f"{result.outcome}: {result.reason}")
    return FilledSection("Rollback", (FilledPart("", (moved, checked, reviewed)),))


_ROLLBACK_LINES = (
    "Traffic goes back to the previous revision",
    "Service health and traffic are verified afterwards",
    "What went wrong is found, and a post-mortem is held",
)


def _own(record: RunRecord) -> tuple[FilledSection, ...]:
    known = {
        (name, phase)
        for parts in (*BEFORE_ROLLBACK.values(), *AFTER_ROLLBACK.values())
        for line in chain.from_iterable(parts.values())
        for name, phase in product(line.criteria, line.phases)
    }
    own = [result for result in record.criteria if (result.name, result.phase) not in known]
    lines = tuple(FilledLine(result.title or result.id, LineState(result.verdict.value), (result,)) for result in own)
    return (FilledSection("Criteria of your own", (FilledPart("", lines),)),) if lines else ()

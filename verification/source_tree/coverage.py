"""Coverage reports: Cobertura's XML, as most tools write it, and coverage.py's JSON.

The figure is coverage.py's own, so that it agrees with what people see: lines and, where they were measured, branches,
together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from verification.errors import ObserverError
from verification.source_tree.xml_events import read_elements

_REMEDY = (
    "Have the test command write Cobertura XML (--cov-report=xml) or coverage.py's JSON, and name it in code.coverage."
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """`percent` (0 to 100) of `countable` lines and branches; 0 when the report gives only a rate."""

    percent: float
    countable: int


class _Counts(BaseModel):
    """The attributes of Cobertura's root element that matter."""

    lines_covered: int = Field(alias="lines-covered", ge=0)
    lines_valid: int = Field(alias="lines-valid", ge=0)
    branches_covered: int = Field(default=0, alias="branches-covered", ge=0)
    branches_valid: int = Field(default=0, alias="branches-valid", ge=0)


class _Rate(BaseModel):
    line_rate: float = Field(alias="line-rate", ge=0, le=1, allow_inf_nan=False)


class _Totals(BaseModel):
    covered_lines: int = Field(ge=0)
    num_statements: int = Field(ge=0)
    covered_branches: int = Field(default=0, ge=0)
    num_branches: int = Field(default=0, ge=0)


class _Report(BaseModel):
    totals: _Totals


def read_coverage(file: Path) -> Coverage:
    """The figure in `file`. Raises ObserverError for a file that is no coverage report, or measured nothing."""
    try:
        return _from_json(file) if file.suffix == ".json" else _from_xml(file)
    except ValidationError:
        raise ObserverError(f"{file.name} is not a coverage report that is known here", _REMEDY) from None
    except OSError as error:
        raise ObserverError(f"{file.name} cannot be read: {error.strerror}") from None


def _from_json(file: Path) -> Coverage:
    totals = _Report.model_validate_json(file.read_bytes()).totals
    return _share(
        totals.covered_lines + totals.covered_branches, totals.num_statements + totals.num_branches, file.name
    )


def _from_xml(file: Path) -> Coverage:
    roots: list[tuple[str, dict[str, str]]] = []

    def started(tag: str, attributes: dict[str, str]) -> None:
        if not roots:
            roots.append((tag, attributes))

    read_elements(file, started)
    tag, attributes = roots[0]
    if tag != "coverage":
        raise ObserverError(f"{file.name} is not a coverage report: it begins with <{tag}>", _REMEDY)
    if "lines-valid" not in attributes:
        return Coverage(_Rate.model_validate(attributes).line_rate * 100, 0)
    counts = _Counts.model_validate(attributes)
    return _share(counts.lines_covered + counts.branches_covered, counts.lines_valid + counts.branches_valid, file.name)


def _share(covered: int, countable: int, name: str) -> Coverage:
    if countable == 0:
        raise ObserverError(f"{name} measured no line at all", "Is the source named rightly (--cov=...)?")
    if covered > countable:
        raise ObserverError(f"{name} claims {covered} covered of {countable}", _REMEDY)
    return Coverage(100 * covered / countable, countable)

"""What the service's own checks write: JUnit XML, coverage (Cobertura's XML, coverage.py's JSON), tox's result file.

XML that somebody else wrote is read as a stream of elements; entities, which XML attacks are made of, are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from pydantic import BaseModel, Field, ValidationError

from verification.errors import ObserverError

TOX_RESULT_VARIABLE = "TOX_RESULT_JSON"  # tox 4 writes its result file where this says

_LARGEST = 256_000_000  # bytes; test output in it can be much, but not that much
_BAD = frozenset({"failure", "error"})
_REMEDY = (
    "Have the test command write Cobertura XML (--cov-report=xml) or coverage.py's JSON, and name it in code.coverage."
)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What a test suite came to. `failed` names the tests; errors in set-up and teardown count as failures."""

    passed: int
    failed: tuple[str, ...]
    skipped: int

    @property
    def ran(self) -> int:
        """How many tests were run to an answer; skipped ones were not."""
        return self.passed + len(self.failed)


@dataclass(slots=True)
class _Counter:
    passed: int = 0
    skipped: int = 0
    failed: dict[str, None] = field(default_factory=dict)  # an ordered set: a test can fail, and its teardown too
    name: str = ""
    state: str = ""

    def started(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self.name = ".".join(filter(None, (attributes.get("classname"), attributes.get("name")))) or "(no name)"
            self.state = "passed"
        elif tag in _BAD and self.state:
            self.state = "failed"
        elif tag == "skipped" and self.state == "passed":
            self.state = "skipped"

    def ended(self, tag: str) -> None:
        if tag != "testcase":
            return
        if self.state == "failed":
            self.failed[self.name] = None
        elif self.state == "skipped":
            self.skipped += 1
        else:
            self.passed += 1
        self.state = ""


def read_junit(file: Path) -> SuiteResult:
    """The result in `file`; its test cases are counted, whatever totals it claims. Raises ObserverError."""
    counter = _Counter()
    root, _ = _read_elements(file, counter.started, counter.ended)
    if root not in {"testsuites", "testsuite"}:
        raise ObserverError(f"{file.name} is not JUnit XML: it begins with <{root}>", "Mend code.junit.")
    return SuiteResult(counter.passed, tuple(counter.failed), counter.skipped)


@dataclass(frozen=True, slots=True)
class Coverage:
    """`percent` (0 to 100) of `countable` lines and branches; 0 when the report gives only a rate."""

    percent: float
    countable: int


class _Cobertura(BaseModel):
    """The attributes of the root element that matter."""

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
    """The figure in `file`: lines and, where they were measured, branches together, as coverage.py itself counts.

    Raises ObserverError for a file that is no coverage report, or measured nothing.
    """
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
    tag, attributes = _read_elements(file)
    if tag != "coverage":
        raise ObserverError(f"{file.name} is not a coverage report: it begins with <{tag}>", _REMEDY)
    if "lines-valid" not in attributes:
        return Coverage(_Rate.model_validate(attributes).line_rate * 100, 0)
    counts = _Cobertura.model_validate(attributes)
    return _share(counts.lines_covered + counts.branches_covered, counts.lines_valid + counts.branches_valid, file.name)


def _share(covered: int, countable: int, name: str) -> Coverage:
    if countable == 0:
        raise ObserverError(f"{name} measured no line at all", "Is the source named rightly (--cov=...)?")
    if covered > countable:
        raise ObserverError(f"{name} claims {covered} covered of {countable}", _REMEDY)
    return Coverage(100 * covered / countable, countable)


@dataclass(frozen=True, slots=True)
class Check:
    """One environment of tox: `outcome` is passed, failed or skipped (its interpreter is missing and may be)."""

    name: str
    outcome: str


class _ToxResult(BaseModel):
    success: bool
    skipped: bool = False


class _ToxEnvironment(BaseModel):
    result: _ToxResult


class _ToxReport(BaseModel):
    testenvs: dict[str, _ToxEnvironment]


def read_tox(file: Path) -> tuple[Check, ...]:
    """The environments in `file`. Raises ObserverError."""
    try:
        document = _ToxReport.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise ObserverError("tox's result file cannot be read", "tox 4 writes one; run it by hand to see.") from None
    return tuple(Check(name, _outcome(environment.result)) for name, environment in document.testenvs.items())


def _outcome(result: _ToxResult) -> str:
    if result.skipped:
        return "skipped"
    return "passed" if result.success else "failed"


def _read_elements(
    file: Path,
    started: Callable[[str, dict[str, str]], None] = lambda _tag, _attributes: None,
    ended: Callable[[str], None] = lambda _tag: None,
) -> tuple[str, dict[str, str]]:
    """The root element of `file`; `started(name, attributes)` and `ended(name)` are called for each element.

    Raises ObserverError for a file that cannot be read, is not well-formed, declares entities or is far too large.
    """
    root: list[tuple[str, dict[str, str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not root:
            root.append((tag, attributes))
        started(tag, attributes)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = ended
    parser.EntityDeclHandler = _refuse_entities
    try:
        if file.stat().st_size > _LARGEST:
            raise ObserverError(f"{file.name} is larger than {_LARGEST / 1e6:.0f} MB", "Have less output put in it.")
        with file.open("rb") as stream:
            parser.ParseFile(stream)
    except OSError as error:
        raise ObserverError(f"{file.name} cannot be read: {error.strerror}") from None
    except expat.ExpatError as error:
        raise ObserverError(
            f"{file.name} is not XML, or not whole: {error}", "Was the command that writes it ended early?"
        ) from None
    return root[0]


def _refuse_entities(*_: object) -> NoReturn:
    raise ObserverError("the XML declares entities, which no test report needs", "Find out who wrote that file.")

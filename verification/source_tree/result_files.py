"""What the service's own checks write: JUnit XML, coverage (Cobertura's XML, coverage.py's JSON), tox's result file.

XML that somebody else wrote is read as a stream of elements; entities, which XML attacks are made of, are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn
from xml.parsers import expat

from pydantic import AliasChoices, AliasPath, BaseModel, Field, TypeAdapter, ValidationError

from verification.errors import ObserverError

TOX_RESULT_VARIABLE = "TOX_RESULT_JSON"  # tox 4 writes its result file where this says

_LARGEST = 256_000_000  # bytes; test output in it can be much, but not that much
_NOT_PASSED = frozenset({"failure", "error", "skipped"})
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


def read_junit(file: Path) -> SuiteResult:
    """The result in `file`; its test cases are counted, whatever totals it claims. Raises ObserverError."""
    cases: list[tuple[str, set[str]]] = []  # their names, and the elements that tell how they ended

    def started(tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            named = ".".join(filter(None, (attributes.get("classname"), attributes.get("name"))))
            cases.append((named or "(no name)", set()))
        elif cases and tag in _NOT_PASSED:
            cases[-1][1].add(tag)

    root, _ = _read_elements(file, started)
    if root not in {"testsuites", "testsuite"}:
        raise ObserverError(f"{file.name} is not JUnit XML: it begins with <{root}>", "Mend code.junit.")
    # Each once: a test can fail, and its teardown too.
    failed = tuple(dict.fromkeys(name for name, told in cases if told - {"skipped"}))
    return SuiteResult(sum(not told for _, told in cases), failed, sum(told == {"skipped"} for _, told in cases))


@dataclass(frozen=True, slots=True)
class Coverage:
    """`percent` (0 to 100) of `countable` lines and branches; 0 when the report gives only a rate."""

    percent: float
    countable: int


class _Counts(BaseModel):
    """As coverage.py's JSON and as Cobertura's root element names them."""

    covered_lines: int = Field(validation_alias=AliasChoices("covered_lines", "lines-covered"), ge=0)
    lines: int = Field(validation_alias=AliasChoices("num_statements", "lines-valid"), ge=0)
    covered_branches: int = Field(0, validation_alias=AliasChoices("covered_branches", "branches-covered"), ge=0)
    branches: int = Field(0, validation_alias=AliasChoices("num_branches", "branches-valid"), ge=0)


class _Report(BaseModel):
    totals: _Counts


_RATE = TypeAdapter(Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)])


def read_coverage(file: Path) -> Coverage:
    """The figure in `file`: lines and, where they were measured, branches together, as coverage.py itself counts.

    Raises ObserverError for a file that is no coverage report, or measured nothing.
    """
    try:
        if file.suffix == ".json":
            return _share(_Report.model_validate_json(file.read_bytes()).totals, file.name)
        return _from_xml(file)
    except ValidationError:
        raise ObserverError(f"{file.name} is not a coverage report that is known here", _REMEDY) from None
    except OSError as error:
        raise ObserverError(f"{file.name} cannot be read: {error.strerror}") from None


def _from_xml(file: Path) -> Coverage:
    tag, attributes = _read_elements(file)
    if tag != "coverage":
        raise ObserverError(f"{file.name} is not a coverage report: it begins with <{tag}>", _REMEDY)
    if "lines-valid" not in attributes:
        return Coverage(_RATE.validate_python(attributes.get("line-rate")) * 100, 0)
    return _share(_Counts.model_validate(attributes), file.name)


def _share(counts: _Counts, name: str) -> Coverage:
    covered, countable = counts.covered_lines + counts.covered_branches, counts.lines + counts.branches
    if countable == 0:
        raise ObserverError(f"{name} measured no line at all", "Is the source named rightly (--cov=...)?")
    if covered > countable:
        raise ObserverError(f"{name} claims {covered} covered of {countable}", _REMEDY)
    return Coverage(100 * covered / countable, countable)


class _ToxEnvironment(BaseModel):
    success: bool = Field(validation_alias=AliasPath("result", "success"))
    skipped: bool = Field(False, validation_alias=AliasPath("result", "skipped"))

    @property
    def outcome(self) -> str:
        return "skipped" if self.skipped else "passed" if self.success else "failed"


class _ToxReport(BaseModel):
    testenvs: dict[str, _ToxEnvironment]


def read_tox(file: Path) -> dict[str, str]:
    """The environments in `file`, each passed, failed or skipped (its interpreter is missing and may be).

    Raises ObserverError.
    """
    try:
        document = _ToxReport.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise ObserverError("tox's result file cannot be read", "tox 4 writes one; run it by hand to see.") from None
    return {name: environment.outcome for name, environment in document.testenvs.items()}


def _read_elements(
    file: Path, started: Callable[[str, dict[str, str]], None] = lambda _tag, _attributes: None
) -> tuple[str, dict[str, str]]:
    """The root element of `file`; `started(name, attributes)` is called for each element.

    Raises ObserverError for a file that cannot be read, is not well-formed, declares entities or is far too large.
    """
    root: list[tuple[str, dict[str, str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not root:
            root.append((tag, attributes))
        started(tag, attributes)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
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

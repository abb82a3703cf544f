"""JUnit XML, as pytest and most test runners write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from verification.errors import ObserverError
from verification.source_tree.xml_events import read_elements

_BAD = frozenset({"failure", "error"})


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
    roots: list[str] = field(default_factory=list)
    name: str = ""
    state: str = ""

    def started(self, tag: str, attributes: dict[str, str]) -> None:
        self.roots = self.roots or [tag]
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
    read_elements(file, counter.started, counter.ended)
    if counter.roots[0] not in {"testsuites", "testsuite"}:
        raise ObserverError(f"{file.name} is not JUnit XML: it begins with <{counter.roots[0]}>", "Mend code.junit.")
    return SuiteResult(counter.passed, tuple(counter.failed), counter.skipped)

"""Probes of the code: the service's own tests and checks."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from verification.errors import ObserverError, ServiceError, VerificationError
from verification.probe import probe
from verification.probes.health import given
from verification.probes.source import listed
from verification.settings.checkout import Code
from verification.settings.units import duration_text
from verification.source_tree.checkout import Checkout
from verification.source_tree.commands import CommandResult, Commands
from verification.source_tree.result_files import (
    TOX_RESULT_VARIABLE,
    Coverage,
    SuiteResult,
    read_coverage,
    read_junit,
    read_tox,
)
from verification.verdict import Measurement, MeasurementSet, Value

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """A run of the service's test command. `result` or `covered` is an error where it could not be read back."""

    ended: CommandResult
    result: SuiteResult | ObserverError
    covered: Coverage | ObserverError | None = None  # None: not asked for

    @property
    def failed(self) -> Measurement:
        """How many tests failed; inconclusive when nothing tells."""
        if isinstance(self.result, ObserverError):
            return self._measured("failed tests", None, problem=self.result)
        names = self.result.failed
        problem = ServiceError(
            f"{len(names)} of {self.result.ran} tests failed: {listed(names)}",
            f"{self.ended.log.name} beside the report has the output of `{self.ended.command}`.",
        )
        return self._measured("failed tests", len(names), problem=problem if names else None)

    @property
    def ran(self) -> Measurement:
        """How many tests ran; inconclusive when none did, since nothing was learned."""
        if isinstance(self.result, ObserverError):
            return self._measured("tests", None, problem=self.result)
        skipped = f"{self.result.skipped} skipped" if self.result.skipped else ""
        problem = ObserverError(
            f"`{self.ended.command}` ran no test (exit code {self.ended.exit_code}{', ' + skipped if skipped else ''})",
            "Does the command name the folder of the tests? Look at code.tests and code.directory.",
        )
        return self._measured("tests", self.result.ran, skipped, None if self.result.ran else problem)

    @property
    def exit_code(self) -> Measurement:
        """What the command ended with."""
        ended = self.ended
        problem: VerificationError | None = ended.problem
        if ended.exit_code:
            problem = ServiceError(
                f"`{ended.command}` ended with exit code {ended.exit_code}; it last said:\n{ended.last_lines}",
                f"{ended.log.name} beside the report has the whole output.",
            )
        return _of(ended, "exit code", ended.exit_code, problem)

    @property
    def coverage(self) -> Measurement:
        """The share of the code that the tests reach, in percent."""
        figure = replace(_of(self.ended, "coverage", None), unit="%")
        if isinstance(self.covered, Coverage):
            count = self.covered.countable
            note = f"{count} lines and branches" if count else "the report gives no counts"
            return replace(figure, value=_floor(self.covered.percent), samples=count or None, note=note)
        return replace(figure, problem=self.covered or ObserverError("no coverage was asked for", "Set code.coverage."))

    def _measured(
        self, name: str, value: int | None, note: str = "", problem: VerificationError | None = None
    ) -> Measurement:
        samples = self.result.ran if isinstance(self.result, SuiteResult) else None
        return replace(
            _of(self.ended, name, value, problem), samples=samples, note="; ".join(filter(None, (note, self.ended.cut)))
        )


@probe
def suite_run(commands: Commands, checkout: Checkout, code: Code) -> SuiteRun:
    """Run the service's tests, `code.tests`, and read back what they wrote."""
    directory = checkout.path / code.directory
    with TemporaryDirectory(prefix="junit-") as private:
        junit = directory / code.junit if code.junit else Path(private) / "junit.xml"
        coverage = directory / code.coverage if code.coverage else None
        before = _stamp(junit), _stamp(coverage)
        asked = {} if code.junit else {"PYTEST_ADDOPTS": f"--junitxml={shlex.quote(str(junit))}"}
        ended = commands.run(given(code.tests, "code.tests"), directory, code.within, "tests.log", asked)
        if ended.problem is not None:
            return SuiteRun(ended, ended.problem, ended.problem if coverage else None)
        return SuiteRun(
            ended,
            _junit_of(ended, junit, before[0], told=code.junit is not None),
            _coverage_of(ended, coverage, before[1]) if coverage else None,
        )


@probe
def quality_run(commands: Commands, checkout: Checkout, code: Code) -> MeasurementSet:
    """Run each of `code.quality`, one after the other; `code.within` is for all of them together."""
    checks: list[Measurement] = []
    left = code.within
    for name, command in given(code.quality, "code.quality").items():
        if left <= 0:
            checks.append(_no_time_for(name, code.within))
            continue
        with TemporaryDirectory(prefix="tox-") as private:
            file = Path(private) / "tox.json"
            log = f"quality-{''.join(character if character.isalnum() else '_' for character in name)}.log"
            directory = checkout.path / code.directory
            ended = commands.run(command, directory, left, log, {TOX_RESULT_VARIABLE: str(file)})
            checks += _checks(name, ended, file)
        left -= ended.seconds
    return MeasurementSet(tuple(checks))


def _no_time_for(name: str, within: float) -> Measurement:
    late = ObserverError(
        f"{name} was not run: the checks before it took the {duration_text(within)} that all of them have together",
        "Raise code.within, or make the checks before it faster.",
    )
    return Measurement(name, None, source=f"code.quality.{name}", problem=late)


def _junit_of(ended: CommandResult, file: Path, before: Stamp, *, told: bool) -> SuiteResult | ObserverError:
    said = f"; it last said:\n{ended.last_lines}" if ended.last_lines else ""
    if _stamp(file) == before:
        what = "no new" if before else "no"
        remedy = (
            "Mend code.junit: it names the file that the command writes, relative to code.directory."
            if told
            else "Is it pytest? For another runner, let it write JUnit XML and name the file in code.junit."
        )
        return ObserverError(
            f"`{ended.command}` ended with exit code {ended.exit_code} and wrote {what} JUnit file, "
            f"so nothing tells which tests ran{said}",
            remedy,
        )
    try:
        return read_junit(file)
    except ObserverError as problem:
        return problem


def _coverage_of(ended: CommandResult, file: Path, before: Stamp) -> Coverage | ObserverError:
    if _stamp(file) == before:
        what = "what lies there is older" if before else "there is no such file"
        return ObserverError(
            f"`{ended.command}` wrote no coverage to {file.name}: {what}",
            "Let it: with pytest-cov, `--cov=app --cov-report=xml`; and mend code.coverage, the file that it writes.",
        )
    try:
        return read_coverage(file)
    except ObserverError as problem:
        return problem


def _checks(name: str, ended: CommandResult, tox_file: Path) -> list[Measurement]:
    if ended.problem is not None:
        return [_of(ended, name, None, ended.problem)]
    outcome = "passed" if ended.exit_code == 0 else "failed"
    said = f"\n{ended.last_lines}" if ended.last_lines else ""
    failure = ServiceError(
        f"{name} failed: `{ended.command}` ended with exit code {ended.exit_code}{said}",
        f"{ended.log.name} beside the report has the whole output.",
    )
    problem: VerificationError | None = None if outcome == "passed" else failure
    figure = replace(_of(ended, name, outcome, problem), note=ended.cut)
    if not tox_file.is_file():
        return [figure]
    return _tox_checks(figure, tox_file)


def _tox_checks(whole: Measurement, file: Path) -> list[Measurement]:
    """One measurement for each environment of tox, and the one of the command as a whole."""
    try:
        outcomes = read_tox(file)
    except ObserverError as problem:
        return [replace(whole, problem=whole.problem or problem)]
    parts = []
    for name, outcome in outcomes.items():
        failed = ServiceError(f"{whole.name} {name} failed", whole.problem.remedy if whole.problem else "")
        parts.append(
            replace(
                whole,
                name=f"{whole.name} {name}",
                value=outcome,
                problem=failed if outcome == "failed" else None,
            )
        )
    if all(outcome == "skipped" for outcome in outcomes.values()) and whole.problem is None:
        nothing = ObserverError(f"{whole.name} ran no environment", "Look at env_list in the service's tox.ini.")
        whole = replace(whole, value=None, problem=nothing)
    return [*parts, whole]


def _of(ended: CommandResult, name: str, value: Value | None, problem: VerificationError | None = None) -> Measurement:
    """What a command came to, with its output; a command that was never started has none."""
    logs = (ended.log.name,) if ended.log.is_file() else ()
    return Measurement(name, value, source=f"`{ended.command}`", logs=logs, problem=problem)


def _floor(percent: float) -> float:
    """Two digits, and never more than there is: 86.999 % are not 87 %."""
    return math.floor(round(percent, 6) * 100) / 100


def _stamp(file: Path | None) -> Stamp:
    try:
        state = file.stat() if file else None
    except OSError:
        return None
    return (state.st_mtime_ns, state.st_size, state.st_ino) if state else None

"""The service's tests and checks: only a run that proves something passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.source_tree.clone import Clone, reason
from verification.errors import ObserverError, ServiceError
from verification.probes.code import SuiteRun, quality_run, suite_run
from verification.settings.checkout import Code
from verification.source_tree.commands import Commands
from verification.verdict import Measurement, MeasurementSet, collecting

PYTEST = "{python} -m pytest tests/ -v --cov=app --cov-report=xml"


def code(**settings: object) -> Code:
    return Code.model_validate({"directory": "backend", "within": "60s", **settings})


def suite(commands: Commands, clone: Clone, tests: str | list[str] = PYTEST, **settings: object) -> SuiteRun:
    return suite_run(commands, clone.checkout, code(tests=tests, **settings))


def script(text: str) -> list[str]:
    return ["{python}", "-c", text]


def blame(measurement: Measurement) -> type[object]:
    return type(measurement.problem)


def test_a_suite_that_passes_passes_with_its_coverage(commands: Commands, clone: Clone) -> None:
    run = suite(commands, clone, coverage="coverage.xml")
    with collecting() as measured:
        run.failed.must_be(0)
        run.ran.must_be_more_than(0)
        run.exit_code.must_be(0)
        run.coverage.must_be_between(87, 100)
    assert [one.value for one in measured] == [0, 10, 0, 100]
    assert measured[0].logs == ("tests.log",)
    assert "test_search_ignores_case PASSED" in run.ended.log.read_text()


def test_a_test_that_fails_is_named(commands: Commands, clone: Clone) -> None:
    clone.write("backend/tests/test_new.py", "def test_of_something_new():\n    assert 1 == 2\n")
    run = suite(commands, clone)
    with pytest.raises(ServiceError, match="test_of_something_new") as failed:
        run.failed.must_be(0)
    assert "tests.log" in failed.value.remedy


def test_tests_that_cannot_be_imported_fail(commands: Commands, clone: Clone) -> None:
    clone.write("backend/tests/test_new.py", "import a_module_that_is_not_there\n")
    assert blame(suite(commands, clone).failed) is ServiceError


def test_an_exit_code_counts_even_where_every_test_passed(commands: Commands, clone: Clone) -> None:
    clone.write("backend/app/new.py", "NOBODY = 'imports this'\n")
    run = suite(commands, clone, PYTEST + " --cov-fail-under=100")
    run.failed.must_be(0)
    assert blame(run.exit_code) is ServiceError


def test_coverage_is_not_rounded_up(commands: Commands, clone: Clone) -> None:
    writes = script("open('c.xml', 'w').write('<coverage lines-valid=\"100000\" lines-covered=\"86999\"/>')")
    coverage = suite(commands, clone, writes, coverage="c.xml").coverage
    assert coverage.value == 86.99
    with pytest.raises(ServiceError):
        coverage.must_be_between(87, 100)


@pytest.mark.parametrize(
    ("tests", "cause"),
    [
        (["{python}", "-m", "pytest", "tests", "-k", "nothing_is_named_so"], "ran no test"),
        (script("print('all well')"), "wrote no JUnit file.*\n.*all well"),
        (["no-such-runner"], "there is no program no-such-runner"),
        (["{python}", "-m", "pytest", "--no-such-option"], "exit code 4 and wrote no JUnit file"),
    ],
    ids=["no test selected", "exit 0 without a test", "no such program", "usage error"],
)
def test_a_suite_that_ran_no_test_proves_nothing(
    commands: Commands, clone: Clone, tests: list[str], cause: str
) -> None:
    ran = suite(commands, clone, tests).ran
    with pytest.raises(ObserverError, match=cause) as unknown:
        ran.must_be_more_than(0)
    assert unknown.value.remedy


def test_a_suite_of_skipped_tests_proves_nothing(commands: Commands, clone: Clone) -> None:
    for file in (clone.path / "backend/tests").glob("test_*.py"):
        file.write_text("import pytest\n\n\n@pytest.mark.skip\ndef test_one():\n    pass\n")
    run = suite(commands, clone)
    assert "2 skipped" in reason(run.ran)
    assert blame(run.ran) is ObserverError


def test_a_suite_that_hangs_is_ended_and_proves_nothing(commands: Commands, clone: Clone) -> None:
    run = suite(commands, clone, script("import time; print('waiting', flush=True); time.sleep(600)"), within="1s")
    for measurement in (run.failed, run.ran, run.exit_code):
        assert blame(measurement) is ObserverError
        assert "had not ended after 1s" in reason(measurement)


def test_an_older_report_is_not_taken_for_this_runs(commands: Commands, clone: Clone) -> None:
    clone.write("backend/junit.xml", '<testsuite><testcase name="old"/></testsuite>')
    clone.write("backend/coverage.xml", '<coverage line-rate="0.99"/>')
    run = suite(commands, clone, script("pass"), junit="junit.xml", coverage="coverage.xml")
    assert "wrote no new JUnit file" in reason(run.ran)
    assert "what lies there is older" in reason(run.coverage)
    assert {blame(run.ran), blame(run.coverage)} == {ObserverError}


def test_a_suite_without_coverage_proves_none(commands: Commands, clone: Clone) -> None:
    run = suite(commands, clone, "{python} -m pytest tests", coverage="coverage.xml")
    run.ran.must_be_more_than(0)
    assert "there is no such file" in reason(run.coverage)
    assert "--cov-report=xml" in reason(run.coverage)


def test_a_runner_that_writes_junit_itself_is_read(commands: Commands, clone: Clone) -> None:
    junit = '<testsuite><testcase name="one"/></testsuite>'
    run = suite(commands, clone, script(f"open('own.xml', 'w').write({junit!r})"), junit="own.xml")
    assert run.ran.value == 1


def quality(commands: Commands, clone: Clone, within: str = "60s", **checks: list[str]) -> MeasurementSet:
    return quality_run(commands, clone.checkout, code(quality=checks, within=within))


def test_every_check_is_listed_and_the_failed_one_named(commands: Commands, clone: Clone) -> None:
    run = quality(commands, clone, syntax=script("pass"), types=script("print('app.py:1: wrong'); raise SystemExit(1)"))
    with collecting() as measured, pytest.raises(ServiceError, match=r"types failed.*\n.*app\.py:1: wrong") as failed:
        run.must_all_be_one_of("passed", "skipped")
    assert [(one.name, one.value) for one in measured] == [("syntax", "passed"), ("types", "failed")]
    assert "quality-types.log" in failed.value.remedy


def test_a_failed_check_outweighs_one_that_could_not_run(commands: Commands, clone: Clone) -> None:
    run = quality(commands, clone, gone=["no-such-linter"], types=script("raise SystemExit(1)"))
    with pytest.raises(ServiceError, match="types failed"):
        run.must_all_be_one_of("passed", "skipped")


def test_a_check_that_could_not_run_proves_nothing(commands: Commands, clone: Clone) -> None:
    run = quality(commands, clone, gone=["no-such-linter"], types=script("pass"))
    with pytest.raises(ObserverError, match="there is no program no-such-linter"):
        run.must_all_be_one_of("passed", "skipped")


def tox(exit_code: int, **environments: dict[str, object]) -> list[str]:
    """Stands for tox: it writes where TOX_RESULT_JSON says."""
    document = json.dumps({"testenvs": {name: {"result": result} for name, result in environments.items()}})
    return script(
        f"import os; open(os.environ['TOX_RESULT_JSON'], 'w').write({document!r}); raise SystemExit({exit_code})"
    )


def test_each_environment_of_tox_is_listed(commands: Commands, clone: Clone) -> None:
    command = tox(1, black={"success": True}, mypy={"success": False}, py27={"success": True, "skipped": True})
    with collecting() as measured, pytest.raises(ServiceError, match="tox mypy failed"):
        quality(commands, clone, tox=command).must_all_be_one_of("passed", "skipped")
    assert [(one.name, one.value) for one in measured] == [
        ("tox black", "passed"),
        ("tox mypy", "failed"),
        ("tox py27", "skipped"),
        ("tox", "failed"),
    ]


@pytest.mark.parametrize("environments", [{}, {"py27": {"success": True, "skipped": True}}], ids=["none", "skipped"])
def test_tox_without_an_environment_proves_nothing(
    commands: Commands, clone: Clone, environments: dict[str, dict[str, object]]
) -> None:
    with pytest.raises(ObserverError, match="tox ran no environment"):
        quality(commands, clone, tox=tox(0, **environments)).must_all_be_one_of("passed", "skipped")


def test_the_time_for_checks_is_for_all_of_them_together(commands: Commands, clone: Clone) -> None:
    run = quality(commands, clone, within="1s", slow=script("import time; time.sleep(600)"), late=script("pass"))
    assert [blame(one) for one in run.measurements] == [ObserverError, ObserverError]


def test_logs_keep_inside_their_folder(commands: Commands, clone: Clone, logs: Path) -> None:
    quality_run(commands, clone.checkout, code(quality={"../../up": script("pass")}))
    assert [one.name for one in logs.iterdir()] == ["quality-______up.log"]

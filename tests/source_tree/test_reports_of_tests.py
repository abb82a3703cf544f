"""What test runners write is counted, not believed; what cannot be read is said to be so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from verification.errors import ObserverError
from verification.source_tree.result_files import read_coverage, read_junit, read_tox

PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
<testcase classname="tests.test_a" name="test_good" time="0.001"><system-out>well</system-out></testcase>
<testcase classname="tests.test_a" name="test_bad"><failure message="assert 1 == 2">...</failure></testcase>
<testcase classname="tests.test_a" name="test_bad"><error message="failed on teardown">...</error></testcase>
<testcase classname="tests.test_a" name="test_later"><skipped message="not now"/></testcase>
</testsuite></testsuites>"""
BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
THIEF = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<testsuite><testcase name="one"><failure>&a;</failure></testcase></testsuite>"""
COBERTURA = """<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage version="7" lines-valid="4" lines-covered="3" line-rate="0.75" branches-valid="2" branches-covered="1"
 branch-rate="0.5" complexity="0"><packages/></coverage>"""


def written(folder: Path, text: str, name: str = "report.xml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_test_cases_are_counted_and_failures_named_once(tmp_path: Path) -> None:
    result = read_junit(written(tmp_path, PYTEST))
    assert (result.passed, result.failed, result.skipped, result.ran) == (1, ("tests.test_a.test_bad",), 1, 2)


def test_totals_that_a_file_only_claims_count_for_nothing(tmp_path: Path) -> None:
    assert read_junit(written(tmp_path, '<testsuite tests="400" failures="0"/>')).ran == 0


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (BOMB, "declares entities"),
        (THIEF, "declares entities"),
        (PYTEST[:300], "not whole"),
        ("", "not XML"),
        ("<html/>", "begins with <html>"),
    ],
    ids=["bomb", "external entity", "cut", "empty", "another format"],
)
def test_a_junit_file_that_is_none_is_refused(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(ObserverError, match=cause) as refused:
        read_junit(written(tmp_path, text))
    assert refused.value.remedy


def test_coverage_counts_lines_and_branches_as_coverage_py_shows_them(tmp_path: Path) -> None:
    xml = read_coverage(written(tmp_path, COBERTURA))
    totals = {"covered_lines": 3, "num_statements": 4, "covered_branches": 1, "num_branches": 2}
    from_json = read_coverage(written(tmp_path, json.dumps({"totals": totals}), "coverage.json"))
    assert xml == from_json
    assert xml.percent == pytest.approx(66.6667, abs=1e-4)
    assert xml.countable == 6


def test_a_cobertura_file_with_a_rate_alone_is_read(tmp_path: Path) -> None:
    assert read_coverage(written(tmp_path, '<coverage line-rate="0.87"/>')).percent == pytest.approx(87)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('<coverage line-rate="nan"/>', "a.xml"),
        ('<coverage line-rate="87"/>', "a.xml"),
        ('<coverage lines-valid="0" lines-covered="0"/>', "a.xml"),
        ('<coverage lines-valid="4" lines-covered="5"/>', "a.xml"),
        ('<coverage lines-valid="many" lines-covered="5"/>', "a.xml"),
        ("<coverage/>", "a.xml"),
        ("<testsuite/>", "a.xml"),
        ('{"totals": {"covered_lines": -1, "num_statements": 4}}', "a.json"),
        ('{"totals": []}', "a.json"),
        ("{", "a.json"),
        ("[" * 100_000, "a.json"),
    ],
)
def test_a_coverage_file_that_proves_nothing_is_refused(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ObserverError) as refused:
        read_coverage(written(tmp_path, text, name))
    assert refused.value.remedy


def test_tox_environments_are_told_apart(tmp_path: Path) -> None:
    results = {"black": (True, False), "mypy": (False, False), "py27": (True, True)}
    document = {
        "reportversion": "1",
        "testenvs": {
            name: {"result": {"success": success, "exit_code": 0, "skipped": skipped}}
            for name, (success, skipped) in results.items()
        },
    }
    assert read_tox(written(tmp_path, json.dumps(document), "tox.json")) == {
        "black": "passed",
        "mypy": "failed",
        "py27": "skipped",
    }


def test_a_broken_tox_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ObserverError):
        read_tox(written(tmp_path, '{"testenvs": []}', "tox.json"))

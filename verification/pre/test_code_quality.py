"""Code quality (checklist: "Code Quality Verification")."""

import pytest

pytestmark = [pytest.mark.pre, pytest.mark.needs("checkout")]


@pytest.mark.needs("code.tests")
def test_test_suite_passes(suite_run, tested_tree):
    """The service's full test suite passes."""
    suite_run.failed.must_be(0)
    suite_run.ran.must_be_more_than(0)
    suite_run.exit_code.must_be(0)
    tested_tree.must_be("the release")


@pytest.mark.needs("code.coverage")
def test_coverage_meets_minimum(suite_run, tested_tree, limits):
    """The tests cover enough of the code."""
    suite_run.coverage.must_be_at_least(limits.coverage * 100)
    tested_tree.must_be("the release")


@pytest.mark.needs("code.quality")
def test_quality_checks_pass(quality_run, tested_tree):
    """Every quality check passes."""
    quality_run.must_all_be_one_of("passed", "skipped")
    tested_tree.must_be("the release")


@pytest.mark.needs("code.placeholders")
def test_no_placeholder_code(placeholder_scan, tested_tree):
    """No placeholder is left in the code: no TODO, FIXME, MOCK or STUB."""
    placeholder_scan.found.must_be(0)
    tested_tree.must_be("the release")

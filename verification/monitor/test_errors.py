"""Errors that Sentry sees (checklist: "Monitor Sentry error rate")."""

import pytest

pytestmark = [pytest.mark.monitor, pytest.mark.needs("monitor"), pytest.mark.needs("sentry")]


def test_sentry_error_rate(watch, limits):
    """Less than 1 % of transactions end in an error."""
    watch.sentry_error_rate.must_stay_below(limits.error_rate)


def test_no_new_error_types(watch):
    """No type of error appears that staging did not see."""
    watch.new_error_types.must_be_none()


def test_no_critical_errors(watch):
    """No new critical error appears."""
    watch.critical_errors.must_be_none()

"""T+1 to T+24 hours (checklist: "Post-Deployment Actions", "Short-term")."""

import pytest

pytestmark = [pytest.mark.followup, pytest.mark.needs("cloud_run")]


@pytest.mark.needs("sentry")
def test_error_trend_is_flat(error_trend, limits):
    """After a day, errors are as rare as they must be, and no more frequent than the day before."""
    error_trend.must_be_flat(limits.error_rate)


@pytest.mark.needs("sentry")
def test_no_new_error_patterns(new_error_patterns):
    """No type of error was first seen since the deployment."""
    new_error_patterns.new_types.must_be(0)


def test_resources_unchanged_or_approved(resource_change, sign_off):
    """The revision has the resources of the one before, or what changed is approved."""
    resource_change.must_be_none_or_approved(sign_off)


def test_cloud_run_costs_reviewed(sign_off):
    """Somebody has looked at what the deployment does to Cloud Run's costs."""
    sign_off.must_be_signed()


def test_user_feedback_reviewed(sign_off):
    """Somebody has looked at the support channels, and at bug reports about what is new."""
    sign_off.must_be_signed()


@pytest.mark.profile("hotfix")
def test_post_mortem_written(sign_off):
    """A post-mortem names the root cause, and what keeps it from happening again."""
    sign_off.must_be_signed()

"""T+15 to T+30 (checklist: "Post-Deployment Actions", "Immediate")."""

import pytest

pytestmark = [pytest.mark.followup, pytest.mark.needs("cloud_run")]


def test_deployment_is_logged(deployment_record):
    """Time, commit, revision and issues of the deployment are written down, and Sentry and GitHub know of it."""
    deployment_record.must_all_be_one_of("recorded", "recorded before")


@pytest.mark.needs("slack")
def test_team_is_told_of_success(team_message):
    """The team knows how the deployment ended; it is told once."""
    team_message.must_be_one_of("posted", "posted before")


@pytest.mark.needs("health.deep")
def test_second_watch_is_quiet(second_watch, limits, deep_health, healthy_states, checks):
    """The service is healthy, and 15 more minutes were as quiet as the watch."""
    checks.must_be_in_state(deep_health, healthy_states)
    second_watch.must_be_quiet(limits)

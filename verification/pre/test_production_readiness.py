"""Production (checklist: "Production Readiness"): could it be deployed to, and back?"""

import pytest

pytestmark = [pytest.mark.pre, pytest.mark.role("production")]


@pytest.mark.needs("window")
@pytest.mark.waived("hotfix")
def test_inside_deployment_window(deployment_window):
    """Production may be deployed now."""
    deployment_window.must_be("open")


@pytest.mark.needs("incidents")
def test_no_open_critical_incidents(open_incidents):
    """No P0 or P1 incident is open."""
    open_incidents.must_be_none()


@pytest.mark.needs("checkout")
@pytest.mark.needs("release")
def test_changelog_covers_release(release_contents):
    """The changelog tells of everything in the release that users notice."""
    release_contents.must_be_covered_by_its_changelog()


@pytest.mark.needs("checkout")
@pytest.mark.needs("release")
def test_breaking_changes_are_declared(release_contents, profiles):
    """The release breaks nothing, or is deployed as one of high risk."""
    release_contents.breaking_changes(profiles).must_be_one_of("none", "declared")


@pytest.mark.needs("health.deep")
def test_production_is_healthy(deep_health, health, healthy_states, baseline, smoke_before, checks):
    """Production and all of its critical services are healthy before it is touched, and what is normal is recorded."""
    checks.must_have_healthy_parts(deep_health, health.deep, healthy_states)
    baseline.must_be_recorded()
    smoke_before.must_all_be_one_of("good")


@pytest.mark.needs("cloud_run")
def test_rollback_plan_is_ready(serving_revision, rollback_plan):
    """There is one revision to go back to, it is Ready, and the release's migrations have a way back too."""
    serving_revision.readiness.must_be("ready")
    rollback_plan.must_all_be_one_of("documented", "downgrade command", "this release has no migrations")


@pytest.mark.needs("cloud_run")
def test_rollback_is_permitted(rollback_permission):
    """These credentials may move the traffic back."""
    rollback_permission.must_be("granted")


@pytest.mark.needs("cloud_run")
def test_traffic_is_not_pinned(traffic):
    """A new deployment would receive the traffic."""
    traffic.next_deployment.must_be("the new revision")


def test_rollout_sources_answer(rollout_sources):
    """Every system that the later phases read or write answers now."""
    rollout_sources.must_all_be_one_of("answers")


@pytest.mark.needs("slack")
@pytest.mark.needs("checkout")
@pytest.mark.needs("release")
def test_team_is_notified(team_announcement):
    """The team knows that a deployment is about to start; it is told once for each release."""
    team_announcement.must_be_one_of("posted", "posted before")

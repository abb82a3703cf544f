"""Production (checklist: "Production Readiness"): could it be deployed to, and back?"""

import pytest

pytestmark = [pytest.mark.pre, pytest.mark.role("production")]


@pytest.mark.needs("health.deep")
def test_production_is_healthy(deep_health, health, healthy_states):
    """Production and all of its critical services are healthy before it is touched."""
    for service in health.deep.critical:
        deep_health.field(f"services.{service}.status").must_be("healthy")
    deep_health.field("status").must_be_one_of(*healthy_states)


@pytest.mark.needs("cloud_run")
def test_rollback_plan_is_ready(serving_revision):
    """There is one revision to go back to, and it is Ready."""
    serving_revision.readiness.must_be("ready")


@pytest.mark.needs("cloud_run")
def test_rollback_is_permitted(rollback_permission):
    """These credentials may move the traffic back."""
    rollback_permission.must_be("granted")


@pytest.mark.needs("cloud_run")
def test_traffic_is_not_pinned(traffic):
    """A new deployment would receive the traffic."""
    traffic.next_deployment.must_be("the new revision")

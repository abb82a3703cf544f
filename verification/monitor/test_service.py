"""What users meet (checklist: "Monitor Cloud Run metrics")."""

import pytest

pytestmark = [pytest.mark.monitor, pytest.mark.needs("monitor")]


@pytest.mark.needs("health.basic")
def test_service_stays_healthy(watch):
    """The service stays healthy."""
    watch.health.must_be_none()


@pytest.mark.needs("cloud_run")
def test_cloud_run_error_rate(watch, limits):
    """Less than 1 % of requests fail."""
    watch.error_rate.must_stay_below(limits.error_rate)


@pytest.mark.needs("cloud_run")
def test_p95_latency(watch, limits):
    """95 % of requests are answered within 500 ms."""
    watch.p95_latency.must_stay_below(limits.p95_latency)


@pytest.mark.needs("cloud_run")
def test_traffic_matches_baseline(watch):
    """As many users come as before: at least half of them."""
    watch.traffic.must_stay_above(0.5)


@pytest.mark.needs("cloud_run")
def test_instance_count_in_range(watch):
    """As many instances run as expected."""
    watch.instances.must_stay_in_range()


@pytest.mark.needs("cloud_run")
def test_no_container_restarts(watch):
    """No container is killed for want of memory."""
    watch.restarts.must_be_none()


def test_user_flows_keep_working(watch):
    """Users can log in, see content and search, all the time."""
    watch.user_flows.must_be_none()

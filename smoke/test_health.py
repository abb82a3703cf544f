"""Health of the deployed revision (checklist: "Verify health endpoints")."""

import pytest

pytestmark = pytest.mark.smoke


@pytest.mark.needs("health.basic")
def test_basic_health(basic_health, health, checks):
    """The service answers, and says that it is healthy."""
    checks.must_be_healthy(basic_health, health.basic)


@pytest.mark.needs("health.readiness")
def test_readiness(readiness, health, checks):
    """The service is ready, with its database."""
    checks.must_be_healthy(readiness, health.readiness)


@pytest.mark.needs("health.deep")
def test_deep_health(deep_health, health, healthy_states, checks):
    """The service and all of its critical services are healthy."""
    checks.must_be_deeply_healthy(deep_health, health.deep, healthy_states)


@pytest.mark.needs("cloud_run")
@pytest.mark.unmendable("a revision that does not serve cannot be taken out")
def test_serving_the_deployed_revision(traffic, deployed_revision, reported_revision):
    """All requests reach the revision that was deployed."""
    traffic.share_of(deployed_revision).must_be(100)
    if reported_revision:
        reported_revision.must_be(deployed_revision)


@pytest.mark.needs("certificate")
@pytest.mark.unmendable("a certificate does not come with a revision")
def test_certificate_is_valid(certificate, limits):
    """The certificate is trusted and will be for a while."""
    certificate.trust.must_be("trusted")
    certificate.days_left.must_be_more_than(limits.certificate_days_left)

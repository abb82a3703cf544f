"""Health of the deployed revision (checklist: "Verify health endpoints")."""

import pytest

pytestmark = pytest.mark.smoke


@pytest.mark.needs("health.basic")
def test_basic_health(basic_health, health):
    """The service answers, and says that it is healthy."""
    basic_health.status.must_be(200)
    basic_health.must_say(health.basic.expect)


@pytest.mark.needs("health.readiness")
def test_readiness(readiness, health):
    """The service is ready, with its database."""
    readiness.status.must_be(200)
    readiness.must_say(health.readiness.expect)


@pytest.mark.needs("health.deep")
def test_deep_health(deep_health, health, healthy_states):
    """The service and all of its critical services are healthy."""
    deep_health.status.must_be(200)
    for service in health.deep.critical:
        deep_health.field(f"services.{service}.status").must_be("healthy")
    deep_health.field("status").must_be_one_of(*healthy_states)


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

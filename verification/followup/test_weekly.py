"""Every week (checklist: "Post-Deployment Actions", "Weekly")."""

import pytest

pytestmark = [pytest.mark.followup, pytest.mark.needs("cloud_run")]


@pytest.mark.needs("checkout")
@pytest.mark.needs("release")
def test_changelog_is_updated(deployed_changes):
    """The changelog tells of everything in the deployment that users notice."""
    deployed_changes.must_be_covered_by_its_changelog()


def test_deployment_metrics(metrics_review, sign_off):
    """Frequency, duration, rollback rate, time to recovery and success rate meet their targets, or were reviewed."""
    metrics_review.must_be_reviewed(sign_off)

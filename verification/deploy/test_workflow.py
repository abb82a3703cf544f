"""The deploy workflow (checklist: "Check deployment job status")."""

import pytest

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.needs("github", "cloud_run"),
    pytest.mark.unmendable("what a workflow says is no answer of the service: smoke asks that, and rolls back"),
]


def test_workflow_jobs_are_green(deployment_run):
    """Every job of the deploy workflow is green."""
    deployment_run.results.must_all_be_one_of("success", "skipped", "neutral")


def test_deployment_duration(deployment_run, limits):
    """The deployment takes no longer than it should."""
    deployment_run.duration.must_be_below(limits.deployment_duration)

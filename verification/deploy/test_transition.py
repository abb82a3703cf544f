"""How the traffic goes over (checklist: "Monitor Cloud Run metrics", during the deployment)."""

import pytest

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.needs("cloud_run"),
    pytest.mark.unmendable("it is over: whether users fare well now is for smoke and monitor, which roll back"),
]


def test_transition_is_smooth(transition, limits):
    """No error spike while the traffic goes over to the new revision."""
    transition.must_be_smooth(limits.error_rate)

"""How the new revision starts (checklist: "Watch Cloud Run logs in real-time")."""

import pytest

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.needs("cloud_run"),
    pytest.mark.unmendable("a line in a log is no answer of the service: smoke and monitor ask that, and roll back"),
]


def test_startup_logs_are_clean(startup_log):
    """The new revision's log tells of its start and of its database connection, and of no error."""
    startup_log.errors.must_be(0)
    startup_log.lines.must_all_be_one_of("seen")

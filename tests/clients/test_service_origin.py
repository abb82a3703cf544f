"""Who refused for want of an instance, by Cloud Run's request log as the sandbox keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from tests.clients.service_questions import client
from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.clients.service.origin import refuted_by_log
from verification.deadline import now
from verification.errors import NoInstance
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.service import CloudRunSettings

pytestmark = pytest.mark.timeout(60)

WITHIN = 20.0
MINUTE = timedelta(minutes=1)


@pytest.fixture
def logs(sandbox: Sandbox) -> Iterator[CloudLogging]:
    there = sandbox.addresses
    settings = {"service": there.environments["staging"].service, "region": there.region, "project": there.project}
    with closing(CloudLogging(CloudRunSettings.model_validate({**settings, "logging": there.logging}), 5)) as client:
        yield client


@contextmanager
def service_of(sandbox: Sandbox) -> Iterator[Service]:
    with client(sandbox.addresses.environments["staging"].url, timeout="20s") as service:
        yield service


def refused(answer: Answer) -> NoInstance:
    """The refusal for want of an instance that `answer`, whatever it was, would be by its page."""
    trace = answer.headers["x-cloud-trace-context"].partition(";")[0]
    return NoInstance(f"{answer.question}: refused", trace, answer.observed_at)


def test_what_cloud_run_refuses_for_want_of_an_instance_stands(sandbox: Sandbox, logs: CloudLogging) -> None:
    sandbox.release(["no-available-instance"], "staging")
    try:
        with service_of(sandbox) as service:
            problem = service.get("/health", retry_503=False).problem
        assert isinstance(problem, NoInstance)
        assert refuted_by_log(problem, logs, WITHIN) is None
        lines = logs.some_requests(problem.at - MINUTE, now(), 1, f'trace:"{problem.trace}"').requests
    finally:
        sandbox.release([], "staging")
    assert [(line.status, line.for_want_of_an_instance) for line in lines] == [(429, True)]


def test_what_a_revision_answered_was_no_want_of_an_instance(sandbox: Sandbox, logs: CloudLogging) -> None:
    with service_of(sandbox) as service:
        answer = service.get("/nowhere")
    found = refuted_by_log(refused(answer), logs, WITHIN)
    assert sandbox.note("staging").current in str(found)


def test_a_refusal_of_which_the_log_knows_nothing_stands(logs: CloudLogging) -> None:
    assert refuted_by_log(NoInstance("GET /health: refused", "0" * 32, now()), logs, 0) is None


def test_a_refusal_without_a_trace_stands_and_the_log_is_not_asked() -> None:
    settings = {"service": "s", "region": "r", "project": "p", "logging": "http://127.0.0.1:9"}
    with closing(CloudLogging(CloudRunSettings.model_validate(settings), 5)) as nobody:
        assert refuted_by_log(NoInstance("GET /health: refused", "", now()), nobody, WITHIN) is None

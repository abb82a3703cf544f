"""Who gave an answer, by Cloud Run's request log: read from the sandbox's, and held against pages that say otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from tests.clients.hostile import hostile
from tests.clients.service_questions import client
from tests.clients.test_service_front_door import FORBIDDEN, GOOGLE, HTML
from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service
from verification.clients.service.origin import is_for_want_of_instances, line_of, logged, settled_by_log
from verification.deadline import Deadline, now, poll
from verification.errors import NotPermitted, ObserverError, ServiceError
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.service import CloudRunSettings

pytestmark = pytest.mark.timeout(60)

WITHIN = 20.0
TRACE = "105445aa7843bc8bf206b12000100000"


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


def line_in(logs: CloudLogging, answer: Answer) -> LoggedRequest:
    line = poll(lambda: logged(answer, logs), Deadline.after(WITHIN), 0.1)
    assert line is not None, "not within the deadline"
    return line


def test_what_cloud_run_refuses_for_want_of_an_instance_is_the_releases(sandbox: Sandbox, logs: CloudLogging) -> None:
    sandbox.release(["no-available-instance"], "staging")
    try:
        with service_of(sandbox) as service:
            answer = service.get("/health", retry_503=False)
        line = line_in(logs, answer)
    finally:
        sandbox.release([], "staging")
    assert is_for_want_of_instances(line)
    assert isinstance(settled_by_log(replace(answer, problem=None), line).problem, ServiceError)


def test_what_iam_refuses_is_nobodys(sandbox: Sandbox, logs: CloudLogging) -> None:
    sandbox.plant(["iam-refused"])
    try:
        with service_of(sandbox) as service:
            answer = service.get("/health")
        line = line_in(logs, answer)
    finally:
        sandbox.plant([])
    assert not is_for_want_of_instances(line)
    assert isinstance(settled_by_log(replace(answer, problem=None), line).problem, NotPermitted)


def test_what_a_revision_answers_is_its_own(sandbox: Sandbox, logs: CloudLogging) -> None:
    with service_of(sandbox) as service:
        answer = service.get("/nowhere")
    line = line_in(logs, answer)
    assert (line.status, line.said, line.revision) == (404, "", sandbox.note("staging").current)
    settled = settled_by_log(answer, line)
    with pytest.raises(ServiceError):
        settled.status.must_be(200)


def test_a_page_that_looks_like_iams_is_the_revisions_where_the_log_says_so() -> None:
    """As of a release that passes on what another service of Google's refused it."""
    sent = [HTML, GOOGLE, f"X-Cloud-Trace-Context: {TRACE};o=1"]
    with hostile(lambda one: one.answer(FORBIDDEN, "403 Forbidden", *sent)) as server, client(server.url) as service:
        answer = service.get("/health")
    assert isinstance(answer.problem, ObserverError)
    line = LoggedRequest("1", now(), "r-1", 403, 0.1, "", "/health", trace=TRACE)
    assert line_of(answer, [replace(line, trace="0" * 32), replace(line, status=200), line]) is line
    with pytest.raises(ServiceError):
        settled_by_log(answer, line).status.must_be(200)


def test_a_limit_of_the_services_own_stays_a_matter_of_how_often_we_ask() -> None:
    sent = [f"X-Cloud-Trace-Context: {TRACE}"]
    with hostile(lambda one: one.answer(b"", "429 Too Many", *sent)) as server, client(server.url) as service:
        answer = service.get("/health")
    line = LoggedRequest("1", now(), "r-1", 429, 0.1, "", "/health", trace=TRACE)
    assert isinstance(settled_by_log(answer, line).problem, ObserverError)


@pytest.mark.parametrize(
    "sent", [[], ["X-Cloud-Trace-Context: "], ['X-Cloud-Trace-Context: none" OR severity>=DEFAULT']]
)
def test_an_answer_without_a_trace_is_not_looked_for_and_stays_as_it_is(sent: list[str]) -> None:
    with hostile(lambda one: one.answer(b"{}", "404 Not Found", *sent)) as server, client(server.url) as service:
        answer = service.get("/health")
    settings = {"service": "s", "region": "r", "project": "p", "logging": "http://127.0.0.1:9"}
    with closing(CloudLogging(CloudRunSettings.model_validate(settings), 5)) as nobody:
        assert logged(answer, nobody) is None
    assert settled_by_log(answer, None) is answer

"""The client of Cloud Logging: against the sandbox, and against a server that answers as none should."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from benchmarks import web
from tests.clients.hostile import Conversation, free_port, hostile
from verification.clients.google.cloud_logging import CloudLogging, LogEntry, LoggedRequest, LoggedRequests, _client
from verification.deadline import Deadline, poll
from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.service import CloudRunSettings

T = TypeVar("T")
WITHIN = 20.0
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@contextmanager
def client_of(sandbox: Sandbox, **changes: str) -> Iterator[CloudLogging]:
    there = sandbox.addresses
    settings = {
        "service": "bayit-plus-backend",
        "region": there.region,
        "project": there.project,
        "logging": there.logging,
    }
    with closing(CloudLogging(CloudRunSettings.model_validate(settings | changes), timeout=5)) as client:
        yield client


@pytest.fixture
def logs(sandbox: Sandbox) -> Iterator[CloudLogging]:
    with client_of(sandbox) as client:
        yield client


def lately() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(minutes=5), now + timedelta(seconds=5)


def until(question: Callable[[], T | None]) -> T:
    answer = poll(question, Deadline.after(WITHIN), 0.1)
    assert answer, "not within the deadline"
    return answer


def test_every_request_is_there_once_with_what_became_of_it(logs: CloudLogging, sandbox: Sandbox) -> None:
    agent = f"visitor/{uuid.uuid4()}"
    with web.Client(base_url=sandbox.addresses.environments["production"].url, headers={"User-Agent": agent}) as http:
        for path in ("/health", "/api/v1/content?limit=1", "/nowhere"):
            http.get(path)

    def mine() -> list[LoggedRequest]:
        log = logs.requests(*lately())
        assert log.complete
        assert log.unreadable == 0
        return [one for one in log.requests if one.user_agent == agent]

    found = until(lambda: some if len(some := mine()) == 3 else None)
    assert [(one.path, one.status) for one in found] == [("/health", 200), ("/api/v1/content", 200), ("/nowhere", 404)]
    assert {one.revision for one in found} == {sandbox.note().current}
    assert all(one.latency_s and 0 < one.latency_s < WITHIN for one in found)
    since = found[1].at
    inside = [one.path for one in logs.requests(since, found[2].at).requests if one.user_agent == agent]
    assert inside == ["/api/v1/content"], "from the beginning on, and before the end"


def test_a_window_with_more_than_was_asked_for_says_so(logs: CloudLogging, sandbox: Sandbox) -> None:
    for _ in range(6):
        web.get(f"{sandbox.addresses.environments['production'].url}/health")
    whole = until(lambda: log if len((log := logs.requests(*lately())).requests) > 5 else None)
    some = logs.requests(*lately(), most=3)
    assert (some.complete, some.requests) == (False, whole.requests[:3])
    exact = logs.requests(whole.requests[0].at, whole.requests[3].at, most=3)
    assert exact.complete


def test_troubles_are_errors_and_what_befell_containers(sandbox: Sandbox) -> None:
    staging = sandbox.addresses.environments["staging"]
    note = sandbox.release(["search-broken", "out-of-memory"], "staging")
    try:
        with client_of(sandbox, service=staging.service) as logs, web.Client(base_url=staging.url) as http:
            statuses = [http.get("/api/v1/search?q=x").status_code for _ in range(50)]
            assert statuses == [500] * 49 + [503]

            def told() -> tuple[LogEntry, ...] | None:
                some = logs.troubles(*lately())
                return some if any(one.severity == "WARNING" for one in some) else None

            found = until(told)
            said = {
                (one.log, one.severity, one.text.partition(" with")[0]) for one in found if one.revision == note.current
            }
            assert said == {
                ("run.googleapis.com/stderr", "ERROR", "the search index cannot be read"),
                ("run.googleapis.com/varlog/system", "ERROR", "Memory limit of 512 MiB exceeded"),
                ("run.googleapis.com/varlog/system", "WARNING", "Container terminated on signal 9."),
            }
            assert [one.at for one in found] == sorted(one.at for one in found)
    finally:
        sandbox.release([], "staging")


def test_reading_asks_nobody_else_where_this_machine_is(sandbox: Sandbox) -> None:
    """The library's own loggers would ask a metadata server, by a name that is found in Google's cloud alone."""
    there = sandbox.addresses
    run = CloudRunSettings(service="s", region="r", project=there.project, logging=there.logging)
    with closing(_client(run)) as library:
        logger = library.logger("stderr")  # type: ignore[no-untyped-call]
        assert logger.default_resource.type == "global"


def test_reaching_it_is_one_call(logs: CloudLogging) -> None:
    logs.reach()


def test_a_project_that_is_not_ours_is_not_permitted(sandbox: Sandbox) -> None:
    with client_of(sandbox, project="somebody-elses") as logs, pytest.raises(NotPermitted) as raised:
        logs.reach()
    assert "roles/logging.viewer" in raised.value.remedy


def test_nobody_there_is_the_observers_error(sandbox: Sandbox) -> None:
    with (
        client_of(sandbox, logging=f"http://127.0.0.1:{free_port()}") as logs,
        pytest.raises(ObserverError, match="answer about requests of bayit-plus-backend"),
    ):
        logs.requests(*lately())


def test_an_emulator_elsewhere_is_refused(sandbox: Sandbox) -> None:
    with (
        client_of(sandbox, logging="http://logging.example.com") as logs,
        pytest.raises(SettingsError, match="not on this machine"),
    ):
        logs.reach()


def test_it_is_down(logs: CloudLogging, sandbox: Sandbox) -> None:
    sandbox.plant(["logging-down"])
    try:
        for ask in (logs.requests, logs.troubles):
            with pytest.raises(ObserverError, match="gave no usable answer"):
                ask(*lately())
    finally:
        sandbox.plant([])


def line(number: int, **changes: object) -> dict[str, object]:
    """A line of the request log as the API gives it, `number` seconds after noon."""
    return {
        "logName": "projects/p/logs/run.googleapis.com%2Frequests",
        "insertId": f"id-{number}",
        "timestamp": f"2026-05-01T12:00:{number:02}.123456789Z",
        "resource": {"type": "cloud_run_revision", "labels": {"revision_name": "r-1"}},
        "httpRequest": {"status": 200, "latency": "0.5s", "requestUrl": "https://x/a?b=c", "userAgent": "u"},
        **changes,
    }


def read(*lines: dict[str, object]) -> LoggedRequests:
    """What the client makes of these lines."""

    def script(conversation: Conversation) -> None:
        body = json.dumps({"entries": lines}).encode()
        conversation.answer(body, "200 OK", "Content-Type: application/json")

    settings = {"service": "s", "region": "r", "project": "p"}
    with hostile(script) as server:
        run = CloudRunSettings.model_validate({**settings, "logging": server.url})
        with closing(CloudLogging(run, timeout=5)) as logs:
            return logs.requests(NOON, NOON + timedelta(minutes=1))


def test_lines_out_of_order_and_twice_are_set_right() -> None:
    log = read(line(3), line(1), line(3), line(2), line(1))
    assert [one.insert_id for one in log.requests] == ["id-1", "id-2", "id-3"]
    assert (log.complete, log.unreadable) == (True, 0)


@pytest.mark.parametrize(
    ("latency", "seconds"),
    [
        ("0.123s", 0.123),
        ("2s", 2.0),
        (3, 3.0),
        (0.25, 0.25),
        ({"seconds": "1", "nanos": 500_000_000}, 1.5),
        (None, None),
    ],
)
def test_a_latency_is_read_however_it_is_put(latency: object, seconds: float | None) -> None:
    (one,) = read(line(1, httpRequest={"status": 200.0, "latency": latency})).requests
    assert (one.status, one.latency_s, one.path, one.user_agent) == (200, seconds, "", "")


@pytest.mark.parametrize(
    "http",
    [
        None,
        {},
        {"latency": "0.1s"},
        {"status": "200"},
        {"status": True},
        {"status": 0},
        {"status": 200.5},
        {"status": float("nan")},
        {"status": 200, "latency": "-0.1s"},
        {"status": 200, "latency": -1},
        {"status": 200, "latency": float("nan")},
        {"status": 200, "latency": float("inf")},
        {"status": 200, "latency": "soon"},
        {"status": 200, "latency": {"seconds": None}},
    ],
)
def test_what_cannot_be_counted_is_left_out_and_said(http: object) -> None:
    log = read(line(1), line(2, httpRequest=http))
    assert ([one.insert_id for one in log.requests], log.unreadable) == (["id-1"], 1)


@pytest.mark.parametrize("missing", ["insertId", "timestamp"])
def test_a_line_without_id_or_time_is_unreadable(missing: str) -> None:
    whole = line(1)
    del whole[missing]
    assert read(whole) == LoggedRequests((), complete=True, unreadable=1)


def test_a_request_that_reached_no_revision_has_none() -> None:
    for resource in ({"type": "cloud_run_revision", "labels": {}}, None):
        (one,) = read(line(1, resource=resource)).requests
        assert one.revision == ""


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"entries": 3}', b'{"entries": [{}]}'])
def test_an_answer_that_is_none_is_the_observers_error(body: bytes, sandbox: Sandbox) -> None:
    with (
        hostile(lambda conversation: conversation.answer(body, "200 OK", "Content-Type: application/json")) as server,
        client_of(sandbox, logging=server.url) as logs,
        pytest.raises(ObserverError, match="no usable answer"),
    ):
        logs.requests(*lately())


def test_a_server_that_says_nothing_costs_the_timeout(sandbox: Sandbox) -> None:
    run = {"service": "s", "region": "r", "project": "p"}
    with hostile(Conversation.hold) as server:
        logs = CloudLogging(CloudRunSettings.model_validate({**run, "logging": server.url}), timeout=0.3)
        with closing(logs), pytest.raises(ObserverError, match=r"within 0\.3 s"):
            logs.reach()

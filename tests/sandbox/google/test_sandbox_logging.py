"""The sandbox's Cloud Logging, asked by Google's own client and by gcloud."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging

from benchmarks import web
from sandbox.google.logging_filter import Fields, earliest, parse_filter
from sandbox.platform.errors import ApiError
from sandbox.platform.log_store import STDERR, LogLine, LogStore
from tests.conftest import Address
from tests.sandbox.google.api_description import Description

OURS = 'resource.type="cloud_run_revision" AND resource.labels.service_name="bayit-plus-backend"'
WITHIN = 20.0
GCLOUD = shutil.which("gcloud")


class Client(logging.Client):
    """Google's client; only its loggers, which are not used here, would ask a metadata server where they run."""

    def logger(self, name: str, **options: Any) -> logging.Logger:
        options = {"resource": logging.Resource("global", {}), **options}
        made: logging.Logger = super().logger(name, **options)  # type: ignore[no-untyped-call]
        return made


@pytest.fixture
def client(sandbox: Address) -> Iterator[Any]:
    one = Client(  # type: ignore[no-untyped-call]
        project=sandbox["project"],
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": sandbox["logging"]},
        _use_grpc=False,
    )
    yield one
    one.close()  # type: ignore[no-untyped-call]


def until(question: Callable[[], Any]) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + WITHIN
    while not (answer := question()):
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.1)
    return answer


@pytest.fixture
def visitor(sandbox: Address) -> str:
    """A User-Agent that made three requests to production: a good one, one for nothing, and one through a query."""
    agent = f"visitor/{uuid.uuid4()}"
    with web.Client(base_url=sandbox["environments"]["production"]["url"], headers={"User-Agent": agent}) as http:
        assert [http.get(path).status_code for path in ("/health", "/nowhere", "/api/v1/search?q=x")] == [200, 404, 200]
    return agent


def serving(sandbox: Address) -> str:
    """What was deployed last: the document of the beginning does not know what other tests have deployed."""
    now: Address = web.get(str(sandbox["operator"])).raise_for_status().json()
    return str(now["environments"]["production"]["deployment"]["current"])


def test_a_request_is_logged_as_it_was_served(client: Any, sandbox: Address, visitor: str) -> None:
    question = f'{OURS} AND httpRequest.userAgent="{visitor}"'
    found = until(lambda: len(some := list(client.list_entries(filter_=question))) == 3 and some)
    assert [one.http_request["status"] for one in found] == [200, 404, 200]
    assert [one.severity for one in found] == ["INFO", "WARNING", "INFO"]
    assert found[2].http_request["requestUrl"] == f"{sandbox['environments']['production']['url']}/api/v1/search?q=x"
    assert all(float(one.http_request["latency"].removesuffix("s")) > 0 for one in found)
    labels = found[0].resource.labels
    assert labels["revision_name"] == serving(sandbox)
    assert (labels["location"], labels["configuration_name"]) == (sandbox["region"], "bayit-plus-backend")
    assert found[0].log_name == f"projects/{sandbox['project']}/logs/run.googleapis.com%2Frequests"
    assert found[0].timestamp <= found[0].received_timestamp
    assert len({one.insert_id for one in found}) == 3


def test_orders_and_pages(client: Any, visitor: str) -> None:
    question = f'httpRequest.userAgent="{visitor}"'
    until(lambda: len(list(client.list_entries(filter_=question))) == 3)
    up = list(client.list_entries(filter_=question, order_by=logging.ASCENDING, page_size=1))
    down = list(client.list_entries(filter_=question, order_by=logging.DESCENDING, page_size=2))
    assert [one.insert_id for one in up] == [one.insert_id for one in reversed(down)]
    assert len(up) == 3
    assert [one.timestamp for one in up] == sorted(one.timestamp for one in up)


def test_a_container_tells_of_its_start(client: Any, sandbox: Address) -> None:
    revision = serving(sandbox)
    of_revision = f'{OURS} AND resource.labels.revision_name="{revision}"'
    of_container = f'{of_revision} AND log_id("run.googleapis.com/stdout")'
    wanted = {"Application startup complete.", "Connected to MongoDB"}
    until(lambda: wanted <= {one.payload for one in client.list_entries(filter_=of_container)})
    system = client.list_entries(filter_=f'{of_revision} AND logName:"varlog%2Fsystem"')
    assert any("Starting new instance" in one.payload for one in system)
    assert list(client.list_entries(filter_=f"{of_revision} AND severity>=ERROR")) == []


def test_answers_are_of_the_published_schema(sandbox: Address, visitor: str) -> None:
    def listed(question: str) -> Any:
        body = {"resourceNames": [f"projects/{sandbox['project']}"], "filter": question, "pageSize": 1}
        return web.post(f"{sandbox['logging']}/v2/entries:list", json=body).raise_for_status().json()

    v2 = Description("logging.v2")
    requests = until(lambda: (some := listed(f'httpRequest.userAgent="{visitor}"')).get("nextPageToken") and some)
    for answer in (requests, listed('textPayload:"MongoDB"'), listed('insertId="none"')):
        assert v2.breaches("ListLogEntriesResponse", answer) == []
    assert "httpRequest" in requests["entries"][0]
    wrong = {"entries": [{"severity": "BAD", "httpRequest": {"status": "200", "latencyy": "1s"}}]}
    assert len(v2.breaches("ListLogEntriesResponse", wrong)) == 3


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"filter_": "severity ~ ERROR"}, exceptions.BadRequest),
        ({"order_by": "severity asc"}, exceptions.BadRequest),
        ({"page_token": "yesterday"}, exceptions.BadRequest),
        ({"page_size": -1}, exceptions.BadRequest),
        ({"resource_names": []}, exceptions.BadRequest),
        ({"resource_names": ["projects/somebody-elses"]}, exceptions.Forbidden),
    ],
)
def test_what_it_cannot_answer_is_refused(client: Any, asked: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        list(client.list_entries(**asked))


def test_it_can_be_down_alone_and_while_cloud_run_is_down_it_is_not(client: Any, sandbox: Address) -> None:
    faults = f"{sandbox['operator']}/faults"
    try:
        web.put(faults, json={"faults": ["logging-down"]}).raise_for_status()
        with pytest.raises(exceptions.ServiceUnavailable):
            list(client.list_entries(max_results=1))
        web.put(faults, json={"faults": ["cloud-run-down"]}).raise_for_status()
        list(client.list_entries(max_results=1))
    finally:
        web.put(faults, json={"faults": []}).raise_for_status()


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
def test_gcloud_reads_what_the_checklist_asks_for(client: Any, sandbox: Address, visitor: str, tmp_path: Any) -> None:
    until(lambda: len(list(client.list_entries(filter_=f'httpRequest.userAgent="{visitor}"'))) == 3)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    question = (
        f'{OURS} AND httpRequest.userAgent="{visitor}" AND (severity>=WARNING OR httpRequest.status=(500 OR 503))'
    )
    done = subprocess.run(
        [str(GCLOUD), "logging", "read", question, "--freshness=10m", "--format=json"],
        env={**kept, "HOME": str(tmp_path), **sandbox["gcloud_env"]},
        timeout=90,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)
    assert entry["httpRequest"]["requestUrl"].endswith("/nowhere")


ENTRY: Fields = {
    "severity": 500.0,
    "timestamp": datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp(),
    "logName": "projects/p/logs/run.googleapis.com%2Fstderr",
    "log_id": "run.googleapis.com/stderr",
    "resource.type": "cloud_run_revision",
    "textPayload": 'Timeout of "mongo"',
    "httpRequest.status": 503.0,
    "httpRequest.latency": 0.25,
}


@pytest.mark.parametrize(
    ("question", "true"),
    [
        ("", True),
        ("severity>=ERROR", True),
        ("severity>error", False),
        ("severity=(WARNING OR ERROR)", True),
        ('timestamp>="2026-05-01T12:00:00Z" AND timestamp<"2026-05-01T14:00:01+02:00"', True),
        ('timestamp>"2026-05-01T12:00:00.000001Z"', False),
        ('resource.type="CLOUD_RUN_revision"', True),
        ('textPayload:"MONGO"', True),
        (r'textPayload="Timeout of \"mongo\""', True),
        ('textPayload=~"^Time"', True),
        ('textPayload!~"^time"', True),
        ("httpRequest.status>=500 httpRequest.latency<0.3s", True),
        ("httpRequest.status=404", False),
        ('"timeout"', True),
        ('log_id("run.googleapis.com/stderr") AND NOT log_id("run.googleapis.com/requests")', True),
        ("insertId:*", False),
        ("severity:*", True),
        # What an entry lacks is neither equal nor unequal.
        ('insertId="a"', False),
        ('insertId!="a"', False),
        ('NOT insertId="a"', True),
        # OR binds closer than AND.
        ("severity=INFO AND severity=INFO OR severity=ERROR", False),
        ("(severity=INFO AND severity=INFO) OR severity=ERROR", True),
    ],
)
def test_filters_mean_what_is_documented(question: str, true: bool) -> None:
    assert parse_filter(question).holds(ENTRY) is true


@pytest.mark.parametrize(
    "question",
    [
        "severity",
        "severity>=",
        "severity>=BAD",
        "severity:ERROR",
        "severity=ERROR OR",
        "AND severity=ERROR",
        "(severity=ERROR",
        "severity=ERROR)",
        "severity=(ERROR OR INFO AND DEBUG)",
        'timestamp>"yesterday"',
        "timestamp>2026-05-01T12:00:00Z",
        'textPayload="open',
        'textPayload=~"("',
        'textPayload>"a"',
        "colour=red",
        "resource.labels=x",
        'log_id("a"',
        'SEARCH("a")',
        "sample(insertId, 0.1)",
        "-- a comment",
        "(" * 200 + "severity=ERROR" + ")" * 200,
        "NOT " * 200 + "severity=ERROR",
        " " * 20_001,
    ],
)
def test_filters_that_are_not_understood_are_refused(question: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_filter(question)
    assert refused.value.http == 400


def test_only_a_bound_that_holds_for_the_whole_narrows_the_search() -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    bound = f'timestamp>="{noon.isoformat()}"'
    assert earliest(parse_filter(f"severity=ERROR AND ({bound} AND severity=ERROR)")) == noon.timestamp()
    later = f'timestamp>"{(noon + timedelta(hours=1)).isoformat()}"'
    assert earliest(parse_filter(f"{bound} {later}")) == noon.timestamp() + 3600
    for loose in (f"{bound} OR severity=ERROR", f"NOT {bound}", bound.replace(">", "<")):
        assert earliest(parse_filter(loose)) == 0


def test_a_line_can_be_seen_after_the_delay_and_until_there_are_too_many_newer_ones() -> None:
    store = LogStore(delay=2.0, kept=3)
    for second in range(5):
        store.add(LogLine(STDERR, "s", "r", "ERROR", at=float(second), received=float(second), text=str(second)))
    assert [line.text for line in store.visible(now=5.9)] == ["3", "2"]
    assert [line.text for line in store.visible(now=6.0)] == ["4", "3", "2"]
    assert [line.text for line in store.visible(now=6.0, since=3.0)] == ["4", "3"]

"""The sandbox's Cloud Monitoring, asked by Google's own client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.api.metric_pb2 import MetricDescriptor
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from benchmarks import web
from sandbox.google.monitoring_filter import parse_filter
from sandbox.platform.traffic_log import GROWTH, Latencies, bucket_of
from tests.conftest import Address, program, ready

OURS = 'resource.type = "cloud_run_revision" AND resource.labels.service_name = "bayit-plus-backend"'
WITHIN = 20.0


class Reader:
    """Reads the metrics of one sandbox."""

    def __init__(self, address: Address) -> None:
        self.address = address
        channel = grpc.insecure_channel(address["monitoring"], options=[("grpc.enable_http_proxy", 0)])
        self.client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
        self.project = f"projects/{address['project']}"

    def series(self, metric: str, seconds: float, more: str = "", **request: object) -> list[monitoring_v3.TimeSeries]:
        """The series of a metric over the last `seconds`."""
        now = time.time()
        interval = {"start_time": {"seconds": int(now - seconds)}, "end_time": {"seconds": int(now) + 1}}
        question = {
            "name": self.project,
            "filter": f'metric.type = "run.googleapis.com/{metric}" AND {OURS}{more}',
            "interval": interval,
            "view": "FULL",
            **request,
        }
        return list(self.client.list_time_series(request=question, timeout=WITHIN))


@contextmanager
def reading(address: Address) -> Iterator[Reader]:
    reader = Reader(address)
    try:
        yield reader
    finally:
        reader.client.transport.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def reader(sandbox: Address) -> Iterator[Reader]:
    with reading(sandbox) as one:
        yield one


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.1)


def test_production_has_an_hour_of_past_and_staging_has_none(start_sandbox: Callable[..., Address]) -> None:
    with reading(start_sandbox()) as reader:  # just begun: how many requests its users put later is up to the machine
        past = reader.series("request_count", 1800)
        staging = reader.series("request_count", 1800, ' AND resource.labels.revision_name = starts_with("staging")')
    total = sum(point.value.int64_value for one in past for point in one.points)
    assert 16_000 < total < 20_000, "half an hour at 600 a minute"
    assert {one.metric.labels["response_code_class"] for one in past} >= {"2xx", "5xx"}
    assert {one.value_type for one in past} == {MetricDescriptor.ValueType.INT64}
    assert staging == []


def test_what_the_ingress_serves_is_counted_where_it_was_served(start_sandbox: Callable[..., Address]) -> None:
    address = start_sandbox()
    url, revision = (
        address["environments"]["production"]["url"],
        address["environments"]["production"]["deployment"]["current"],
    )
    with reading(address) as reader, web.Client(base_url=url) as client:
        for _ in range(5):
            assert client.get("/api/v1/content").status_code == 200
        assert client.get("/nowhere").status_code == 404

        def counted() -> int:
            recent = reader.series("request_count", 30, ' AND metric.labels.response_code_class = "2xx"')
            mine = [one for one in recent if one.resource.labels["revision_name"] == revision]
            return sum(p.value.int64_value for one in mine for p in one.points if _length(p) <= 1)

        until(lambda: counted() == 5)
        missing = reader.series("request_count", 30, " AND metric.label.response_code = 404")
        assert sum(point.value.int64_value for one in missing for point in one.points) == 1
        latencies = reader.series("request_latencies", 30, " AND metric.labels.response_code = 200")
        recent = [p.value.distribution_value for one in latencies for p in one.points if _length(p) <= 1]
        assert sum(one.count for one in recent) == 5
        assert all(sum(one.bucket_counts) == one.count for one in recent)
        until(lambda: bool(reader.series("container/instance_count", 5)))


def _length(point: monitoring_v3.Point) -> float:
    return float((point.interval.end_time - point.interval.start_time).total_seconds())


def test_points_come_newest_first_and_in_pages(reader: Reader) -> None:
    whole = reader.series("request_count", 1800)
    paged = reader.series("request_count", 1800, page_size=7)
    assert sum(len(one.points) for one in paged) >= sum(len(one.points) for one in whole)
    ends = [point.interval.end_time for point in whole[0].points]
    assert ends == sorted(ends, reverse=True)


def test_the_descriptor_says_how_often_and_how_late(reader: Reader) -> None:
    name = f"{reader.project}/metricDescriptors/run.googleapis.com/request_count"
    metadata = reader.client.get_metric_descriptor(name=name, timeout=WITHIN).metadata
    assert (metadata.sample_period.seconds, metadata.ingest_delay.nanos) == (1, 500_000_000)
    latencies = reader.client.get_metric_descriptor(name=name.replace("count", "latencies"), timeout=WITHIN)
    assert latencies.type == "run.googleapis.com/request_latencies"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"filter": 'metric.type = "run.googleapis.com/nothing"'}, exceptions.NotFound),
        ({"filter": "metric.type ~ 'x'"}, exceptions.InvalidArgument),
        ({"filter": 'resource.type = "cloud_run_revision"'}, exceptions.InvalidArgument),
        ({"filter": 'metric.type = "a" OR metric.type = "b"'}, exceptions.InvalidArgument),
        ({"name": "projects/somebody-elses"}, exceptions.PermissionDenied),
        ({"aggregation": {"per_series_aligner": "ALIGN_RATE"}}, exceptions.MethodNotImplemented),
    ],
)
def test_what_it_cannot_answer_is_refused(request_: dict[str, Any], error: type[Exception], reader: Reader) -> None:
    with pytest.raises(error):
        reader.series("request_count", 60, **request_)


def test_it_can_be_down(start_sandbox: Callable[..., Address]) -> None:
    address = start_sandbox()
    web.put(f"{address['operator']}/faults", json={"faults": ["monitoring-down"]}).raise_for_status()
    name = f"projects/{address['project']}/metricDescriptors/run.googleapis.com/request_count"
    with reading(address) as reader, pytest.raises(exceptions.ServiceUnavailable):
        reader.client.get_metric_descriptor(name=name, retry=None, timeout=WITHIN)


def test_users_come_at_the_rate_that_was_asked_for() -> None:
    with program("--users-rpm", "1200") as process:
        operator = ready(process)["operator"]

        def served() -> int:
            answer = web.get(f"{operator}/served", params={"environment": "production"}).json()
            return sum(count for by_status in answer["counts"].values() for count in by_status.values())

        began, first = time.monotonic(), served()
        until(lambda: served() - first >= 60)
        rate = (served() - first) * 60 / (time.monotonic() - began)
    assert 300 < rate < 2400, "a loaded machine may be slow, but nobody floods"


def test_buckets_hold_what_their_bounds_say() -> None:
    for milliseconds in (0.0, 0.999, 1.0, 1.4, 499.0, 1e9, 1e30):
        number = bucket_of(milliseconds)
        assert number == 0 or GROWTH ** (number - 1) <= milliseconds * (1 + 1e-9)
        assert number == 67 or milliseconds < GROWTH**number * (1 + 1e-9)
    latencies = Latencies()
    latencies.add(100.0, 3)
    assert (latencies.count, latencies.total_ms, latencies.buckets.total()) == (3, 300.0, 3)


def test_filters_are_read_as_documented() -> None:
    terms = parse_filter('metric.type = "a" AND resource.label.service_name != one_of("x", "y") metric.labels.z = b')
    assert [(one.key, one.values, one.negated) for one in terms] == [
        ("metric.type", ("a",), False),
        ("resource.labels.service_name", ("x", "y"), True),
        ("metric.labels.z", ("b",), False),
    ]
    assert terms[1].holds({"resource.labels.service_name": "z"})
    assert not terms[1].holds({"resource.labels.service_name": "x"})

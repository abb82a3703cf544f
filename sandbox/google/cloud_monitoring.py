"""Cloud Monitoring v3 over gRPC: the metrics that Cloud Run writes, over what the ingress really served.

https://cloud.google.com/monitoring/api/ref_v3/rpc and .../api/metrics_gcp_p_z#gcp-run. It does not aggregate.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import TYPE_CHECKING

import grpc

from sandbox.google.cloud_run_grpc import unary
from sandbox.google.monitoring_filter import LabelTerm, parse_filter
from sandbox.platform.errors import InvalidArgument, NotFound, PermissionDenied, Unimplemented
from sandbox.platform.traffic_log import FINITE_BUCKETS, GROWTH, Latencies, TrafficLog, TrafficPoint

if TYPE_CHECKING:
    from google.cloud import monitoring_v3
    from google.protobuf.message import Message

_SERVICE = "google.monitoring.v3.MetricService"
_PREFIX = "run.googleapis.com/"
_COUNT, _LATENCIES = f"{_PREFIX}request_count", f"{_PREFIX}request_latencies"
_INSTANCES = f"{_PREFIX}container/instance_count"
_METRICS = {  # kind, type of the values, unit
    _COUNT: ("DELTA", "INT64", "1"),
    _LATENCIES: ("DELTA", "DISTRIBUTION", "ms"),
    _INSTANCES: ("GAUGE", "INT64", "1"),
}
_LARGEST_PAGE = 100_000

Labels = dict[str, str]
Row = tuple[Labels, TrafficPoint, "monitoring_v3.TypedValue"]


class CloudMonitoringApi:
    """The methods of the MetricService that reading needs. `faults` are those in force: monitoring-down."""

    def __init__(self, log: TrafficLog, project: str, region: str, faults: AbstractSet[str]) -> None:
        self._log = log
        self._project, self._region = project, region
        self._faults = faults

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server is given. The library is imported with the first call: it costs a third of a second."""
        methods: dict[str, Callable[[bytes], Awaitable[Message]]] = {
            "ListTimeSeries": self._list_time_series,
            "GetMetricDescriptor": self._get_descriptor,
        }
        return grpc.method_handlers_generic_handler(
            _SERVICE, {name: unary(answer, self._faults, "monitoring-down") for name, answer in methods.items()}
        )

    async def _list_time_series(self, raw: bytes) -> Message:
        from google.cloud import monitoring_v3

        request = monitoring_v3.ListTimeSeriesRequest.deserialize(raw)
        self._must_be_ours(request.name)
        if request.aggregation or request.secondary_aggregation:
            raise Unimplemented("The sandbox aggregates nothing: read the points and add them up.")
        terms = parse_filter(request.filter)
        metric = next((term.values[0] for term in terms if term.key == "metric.type" and not term.negated), "")
        if not metric:
            raise InvalidArgument("Field filter had an invalid value: a metric.type must be given.", "filter")
        rows = list(self._rows(metric, terms, request.interval))
        size = min(request.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
        start = int(request.page_token) if request.page_token.isdigit() else 0
        page = rows[start : start + size]
        response = monitoring_v3.ListTimeSeriesResponse(
            time_series=list(self._series(metric, page)),
            next_page_token=str(start + size) if start + size < len(rows) else "",
        )
        return monitoring_v3.ListTimeSeriesResponse.pb(response)

    def _rows(self, metric: str, terms: list[LabelTerm], interval: monitoring_v3.TimeInterval) -> Iterator[Row]:
        """Every point of every series that is asked for: series by series, newest first."""
        until = interval.end_time.timestamp()
        since = interval.start_time.timestamp() if interval.start_time else until
        if until < since:
            raise InvalidArgument("The start time must be before the end time (interval).", "interval")
        points = self._log.visible(time.time())
        seen = [point for point in points if since < point.end <= until or point.end == since == until]
        rows: dict[tuple[tuple[str, str], ...], list[Row]] = {}
        for point in reversed(seen):
            for labels, value in _values(metric, point):
                whole = {**self._labels(point), **labels}
                if all(term.holds({**whole, "metric.type": metric}) for term in terms):
                    rows.setdefault(tuple(sorted(whole.items())), []).append((whole, point, value))
        for several in rows.values():
            yield from several

    def _labels(self, point: TrafficPoint) -> Labels:
        return {
            "project": self._project,
            "resource.type": "cloud_run_revision",
            "resource.labels.project_id": self._project,
            "resource.labels.location": self._region,
            "resource.labels.service_name": point.service,
            "resource.labels.configuration_name": point.service,
            "resource.labels.revision_name": point.revision,
        }

    def _series(self, metric: str, rows: Iterable[Row]) -> Iterator[monitoring_v3.TimeSeries]:
        from google.cloud import monitoring_v3

        kind, value_type, _ = _METRICS[metric]
        for labels, several in groupby(rows, key=lambda row: row[0]):
            points = []
            for _, point, value in several:
                start = point.end if kind == "GAUGE" else point.start
                interval = {"start_time": _moment(start), "end_time": _moment(point.end)}
                points.append(monitoring_v3.Point(interval=interval, value=value))
            yield monitoring_v3.TimeSeries(
                metric={"type": metric, "labels": _below(labels, "metric.labels.")},
                resource={"type": labels["resource.type"], "labels": _below(labels, "resource.labels.")},
                metric_kind=kind,
                value_type=value_type,
                points=points,
            )

    async def _get_descriptor(self, raw: bytes) -> Message:
        from google.api import metric_pb2
        from google.cloud import monitoring_v3

        request = monitoring_v3.GetMetricDescriptorRequest.deserialize(raw)
        project, _, metric = request.name.partition("/metricDescriptors/")
        self._must_be_ours(project)
        if metric not in _METRICS:
            raise NotFound(f"Could not find descriptor for metric '{metric}'.")
        kind, value_type, unit = _METRICS[metric]
        descriptor = metric_pb2.MetricDescriptor(
            name=f"projects/{self._project}/metricDescriptors/{metric}",
            type=metric,
            metric_kind=kind,
            value_type=value_type,
            unit=unit,
            monitored_resource_types=["cloud_run_revision"],
        )
        descriptor.metadata.sample_period.FromMilliseconds(round(self._log.period * 1000))
        descriptor.metadata.ingest_delay.FromMilliseconds(round(self._log.delay * 1000))
        return descriptor

    def _must_be_ours(self, name: str) -> None:
        if name != f"projects/{self._project}":
            raise PermissionDenied(
                f"Permission monitoring.timeSeries.list denied (or the resource may not exist): {name}"
            )


def _values(metric: str, point: TrafficPoint) -> Iterator[tuple[Labels, monitoring_v3.TypedValue]]:
    """The values of a point in one metric, with its labels. Raises NotFound for a metric that there is not."""
    from google.cloud import monitoring_v3

    if metric == _INSTANCES:
        for state, count in (("active", bool(point.latencies)), ("idle", not point.latencies)):
            yield {"metric.labels.state": state}, monitoring_v3.TypedValue(int64_value=int(count))
        return
    if metric not in _METRICS:
        raise NotFound(
            f'Cannot find metric(s) that match type = "{metric}". If a metric was created recently, it could take up '
            "to 10 minutes to become available. Please try again soon."
        )
    for code, latencies in sorted(point.latencies.items()):
        labels = {"metric.labels.response_code": str(code), "metric.labels.response_code_class": f"{code // 100}xx"}
        if metric == _COUNT:
            yield labels, monitoring_v3.TypedValue(int64_value=latencies.count)
        else:
            yield labels, monitoring_v3.TypedValue(distribution_value=_distribution(latencies))


def _distribution(latencies: Latencies) -> Message:
    from google.api import distribution_pb2

    mean = latencies.total_ms / latencies.count
    return distribution_pb2.Distribution(
        count=latencies.count,
        mean=mean,
        sum_of_squared_deviation=max(latencies.squares_ms - latencies.count * mean**2, 0.0),
        bucket_options={
            "exponential_buckets": {"num_finite_buckets": FINITE_BUCKETS, "growth_factor": GROWTH, "scale": 1.0}
        },
        bucket_counts=[latencies.buckets[number] for number in range(max(latencies.buckets) + 1)],
    )


def _moment(seconds: float) -> dict[str, int]:
    return {"seconds": int(seconds), "nanos": round(seconds % 1 * 1e9)}


def _below(labels: Labels, prefix: str) -> Labels:
    return {name.removeprefix(prefix): value for name, value in labels.items() if name.startswith(prefix)}

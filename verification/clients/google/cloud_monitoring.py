"""Cloud Monitoring: what Cloud Run measured of a service's traffic, read as raw points and summed here.

Percentiles cannot be added up; buckets can. https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from verification.clients.google.errors import GoogleSystem, ask, must_be_local
from verification.clients.lazy_imports import Lazy, load
from verification.errors import ObserverError
from verification.settings.service import CloudRunSettings

if TYPE_CHECKING:
    from google.api.distribution_pb2 import Distribution
    from google.api_core.retry import Retry
    from google.cloud import monitoring_v3

T = TypeVar("T")

SYSTEM = "Cloud Monitoring"
_METRICS = "run.googleapis.com"
_SYSTEM = GoogleSystem(SYSTEM, "roles/monitoring.viewer")
_MOST_SERIES = 5_000


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of latencies. `bounds` are upper bounds in ms; the last bucket, above them all, has none."""

    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def surely_above(self, limit_ms: float) -> int:
        """How many are in buckets that lie wholly above the limit."""
        return sum(count for lower, _, count in self._buckets() if lower >= limit_ms)

    def possibly_above(self, limit_ms: float) -> int:
        """How many are in buckets that reach above the limit."""
        return sum(count for _, upper, count in self._buckets() if upper > limit_ms)

    @property
    def by_upper_bound(self) -> tuple[tuple[float, int], ...]:
        """How many are in each bucket that is not empty, by its upper bound in ms; the last one's is infinite."""
        return tuple((upper, count) for _, upper, count in self._buckets() if count)

    def percentile(self, share: float) -> float | None:
        """The latency in ms that `share` of them do not exceed, interpolated within its bucket; None when empty."""
        wanted, seen = share * self.total, 0
        for lower, upper, count in self._buckets():
            if count and seen + count >= wanted:
                top = upper if upper != float("inf") else lower
                return lower + (top - lower) * max(wanted - seen, 0) / count
            seen += count
        return None

    def __add__(self, other: Histogram) -> Histogram:
        """Both together. Raises ValueError where their buckets differ: such counts cannot be added."""
        if not self.counts or not other.counts:
            return other if other.counts else self
        longer, shorter = sorted((self, other), key=lambda histogram: len(histogram.bounds), reverse=True)
        if longer.bounds[: len(shorter.bounds)] != shorter.bounds:
            raise ValueError("histograms with different buckets cannot be added")
        padded = (*shorter.counts, *[0] * (len(longer.counts) - len(shorter.counts)))
        return Histogram(longer.bounds, tuple(a + b for a, b in zip(longer.counts, padded, strict=True)))

    def _buckets(self) -> Iterator[tuple[float, float, int]]:
        lowers = (0.0, *self.bounds)
        uppers = (*self.bounds, float("inf"))
        yield from zip(lowers, uppers, self.counts, strict=False)


@dataclass(frozen=True, slots=True)
class RevisionTraffic:
    """What one revision served from `start` to `end`. `errors` are answers of the class 5xx."""

    revision: str
    start: datetime
    end: datetime
    requests: int
    errors: int
    latencies: Histogram = field(default_factory=Histogram)


class CloudMonitoring:
    """Client of Cloud Monitoring for one service; `timeout`: seconds for each question. Thread-safe."""

    def __init__(self, settings: CloudRunSettings, timeout: float = 20) -> None:
        self._settings = settings
        self._timeout = timeout
        self._client = Lazy(lambda: _client(settings.monitoring))

    def traffic(self, since: datetime, until: datetime) -> tuple[RevisionTraffic, ...]:
        """What each revision served, a line for each sampling period, oldest first; empty where nobody asked.

        Raises ObserverError, NotPermitted.
        """
        return self._asked(lambda: tuple(self._traffic(since, until)), "requests and latencies")

    def requests(self, since: datetime, until: datetime) -> tuple[RevisionTraffic, ...]:
        """The same without the latencies, which are the larger part of it."""
        return self._asked(lambda: tuple(self._requests(since, until)), "requests")

    def instances(self, since: datetime, until: datetime) -> tuple[tuple[datetime, int], ...]:
        """How many instances there were, active and idle, of all revisions together; oldest first."""

        def count() -> tuple[tuple[datetime, int], ...]:
            counts: Counter[datetime] = Counter()
            for series in self._series("container/instance_count", since, until):
                for point in series.points:
                    counts[_utc(point.interval.end_time)] += _whole(point.value)
            return tuple(sorted(counts.items()))

        return self._asked(count, "instances")

    def delay(self) -> tuple[float, float]:
        """Seconds that a sample covers, and seconds until it can be seen, as the metric's descriptor says."""

        def read_descriptor() -> tuple[float, float]:
            name = f"projects/{self._settings.project}/metricDescriptors/{_METRICS}/request_count"
            found = self._client.value.get_metric_descriptor(
                name=name, retry=self._retry(), timeout=self._timeout
            ).metadata
            period, delay = (span.ToTimedelta().total_seconds() for span in (found.sample_period, found.ingest_delay))
            return period, delay

        return self._asked(read_descriptor, "how often it samples")

    def close(self) -> None:
        """End the connection."""
        self._client.close(lambda client: client.transport.close())  # type: ignore[no-untyped-call]

    def _traffic(self, since: datetime, until: datetime) -> Iterator[RevisionTraffic]:
        requests = list(self._requests(since, until))
        latencies: dict[tuple[datetime, datetime, str], Histogram] = {}
        for series in self._series("request_latencies", since, until):
            for point in series.points:
                key = _key(series, point)
                latencies[key] = latencies.get(key, Histogram()) + _histogram(point.value.distribution_value)
        for one in requests:
            yield replace(one, latencies=latencies.get((one.start, one.end, one.revision), Histogram()))

    def _requests(self, since: datetime, until: datetime) -> Iterator[RevisionTraffic]:
        requests: dict[tuple[datetime, datetime, str], list[int]] = {}
        for series in self._series("request_count", since, until):
            failed = series.metric.labels.get("response_code_class") == "5xx"
            for point in series.points:
                counts = requests.setdefault(_key(series, point), [0, 0])
                counts[0] += _whole(point.value)
                counts[1] += _whole(point.value) if failed else 0
        for (start, end, revision), (total, errors) in sorted(requests.items()):
            yield RevisionTraffic(revision, start, end, total, errors)

    def _series(self, metric: str, since: datetime, until: datetime) -> Iterator[monitoring_v3.TimeSeries]:
        settings = self._settings
        request = {
            "name": f"projects/{settings.project}",
            "filter": (
                f'metric.type = "{_METRICS}/{metric}" AND resource.type = "cloud_run_revision" '
                f'AND resource.labels.service_name = "{settings.service}" '
                f'AND resource.labels.location = "{settings.region}"'
            ),
            "interval": {"start_time": since, "end_time": until},
            "view": "FULL",
        }
        pager = self._client.value.list_time_series(request=request, retry=self._retry(), timeout=self._timeout)
        for number, series in enumerate(pager):
            if number >= _MOST_SERIES:
                raise ObserverError(f"{SYSTEM} has more than {_MOST_SERIES} series of {metric}", "Ask for less.")
            yield series

    def _retry(self) -> Retry:
        """Retries that end in time: the library's own last a minute and a half."""
        load("google.cloud.monitoring_v3", "grpc")
        from google.api_core.retry import Retry

        return Retry(initial=0.2, maximum=1.0, timeout=self._timeout / 4)

    def _asked(self, question: Callable[[], T], what: str) -> T:
        return ask(question, self._timeout, _SYSTEM, f"{what} of {self._settings.service}")


def _client(endpoint: str | None) -> monitoring_v3.MetricServiceClient:
    load("google.cloud.monitoring_v3", "grpc")
    from google.cloud import monitoring_v3

    if endpoint is None:
        return monitoring_v3.MetricServiceClient()
    must_be_local(endpoint.rpartition(":")[0], f"cloud_run.monitoring {endpoint}")
    import grpc
    from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

    # Without this, the environment's proxy would be asked for a way to this machine.
    channel = grpc.insecure_channel(endpoint, options=[("grpc.enable_http_proxy", 0)])
    return monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))


def _key(series: monitoring_v3.TimeSeries, point: monitoring_v3.Point) -> tuple[datetime, datetime, str]:
    interval = point.interval
    revision = series.resource.labels.get("revision_name", "")
    return _utc(interval.start_time), _utc(interval.end_time), revision


def _whole(value: monitoring_v3.TypedValue) -> int:
    """A count. The value is one of several kinds; read as another one it would be 0. Raises ObserverError."""
    kind = type(value).pb(value).WhichOneof("value")
    if kind == "int64_value" and value.int64_value >= 0:
        return int(value.int64_value)
    if kind == "double_value" and value.double_value >= 0 and float(value.double_value).is_integer():
        return int(value.double_value)
    raise ObserverError(f"{SYSTEM} counts in {kind or 'nothing'}: {str(value)[:100]!r}", "Is the metric what it was?")


def _histogram(distribution: Distribution) -> Histogram:
    """The buckets, whichever way they are described (google.api.Distribution). Raises ObserverError."""
    counts = tuple(map(int, distribution.bucket_counts))
    kind = distribution.bucket_options.WhichOneof("options")
    if sum(counts) != distribution.count or min(counts, default=0) < 0 or not kind:
        raise ObserverError(f"{SYSTEM} sent a distribution whose buckets do not add up", "Try again.")
    bounds = _BOUNDS[kind](getattr(distribution.bucket_options, kind))
    if len(counts) > len(bounds) + 1:
        raise ObserverError(f"{SYSTEM} sent a distribution with more buckets than bounds", "Try again.")
    # Empty buckets at the end are left out of the message. They are no end: the last one sent has its bound, too.
    return Histogram(bounds, (*counts, *[0] * (len(bounds) + 1 - len(counts))))


_BOUNDS: Mapping[str, Callable[..., tuple[float, ...]]] = {
    "exponential_buckets": lambda options: tuple(
        options.scale * options.growth_factor**number for number in range(options.num_finite_buckets + 1)
    ),
    "linear_buckets": lambda options: tuple(
        options.offset + options.width * number for number in range(options.num_finite_buckets + 1)
    ),
    "explicit_buckets": lambda options: tuple(options.bounds),
}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)

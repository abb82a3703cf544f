"""The client of Cloud Monitoring against the sandbox, and the sums that it makes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.api.distribution_pb2 import Distribution
from google.cloud import monitoring_v3
from hypothesis import given
from hypothesis import strategies as some

from tests.conftest import Address
from verification.clients.google.cloud_monitoring import CloudMonitoring, Histogram, _histogram, _whole
from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.local_sandbox.addresses import Addresses
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.service import CloudRunSettings

BOUNDS = (100.0, 200.0, 400.0)


def client_of(sandbox: Sandbox, **changes: str) -> CloudMonitoring:
    there = sandbox.addresses
    settings = {
        "service": "bayit-plus-backend",
        "region": there.region,
        "project": there.project,
        "monitoring": there.monitoring,
    }
    return CloudMonitoring(CloudRunSettings.model_validate(settings | changes), timeout=5)


@pytest.fixture
def monitoring(sandbox: Sandbox) -> Iterator[CloudMonitoring]:
    client = client_of(sandbox)
    yield client
    client.close()


def last(minutes: float) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(minutes=minutes), now


def test_half_an_hour_of_traffic_by_revision_and_minute(monitoring: CloudMonitoring, sandbox: Sandbox) -> None:
    found = monitoring.traffic(*last(30))
    assert {one.revision for one in found} == {sandbox.note().current}
    assert [one.end for one in found] == sorted(one.end for one in found)
    total, errors = sum(one.requests for one in found), sum(one.errors for one in found)
    assert 16_000 < total < 20_000
    assert 0.0005 < errors / total < 0.0015
    assert all(one.latencies.total == one.requests for one in found)


def test_instances_and_the_pace_of_sampling(monitoring: CloudMonitoring) -> None:
    assert monitoring.delay() == (1.0, 0.5)
    counts = monitoring.instances(*last(30))
    assert {count for _, count in counts} == {1}


def test_a_service_that_is_not_there_has_no_traffic(sandbox: Sandbox) -> None:
    assert client_of(sandbox, service="somebody-elses").traffic(*last(30)) == ()


def test_a_project_that_is_not_ours_is_not_permitted(sandbox: Sandbox) -> None:
    with pytest.raises(NotPermitted) as raised:
        client_of(sandbox, project="somebody-elses").traffic(*last(1))
    assert "roles/monitoring.viewer" in raised.value.remedy


def test_nobody_there_is_the_observers_error(sandbox: Sandbox) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ObserverError, match="answer about requests"):
            client_of(sandbox, monitoring=address).traffic(*last(1))


def test_an_emulator_elsewhere_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SettingsError, match="not on this machine"):
        client_of(sandbox, monitoring="monitoring.example.com:443").delay()


def test_it_is_down(start_sandbox: Callable[..., Address]) -> None:
    sandbox = Sandbox(Addresses.model_validate(start_sandbox()), ours=False)
    sandbox.plant(["monitoring-down"])
    with pytest.raises(ObserverError, match="gave no usable answer about requests and latencies"):
        client_of(sandbox).traffic(*last(1))


def test_between_the_bounds_is_possibly_above_and_not_surely() -> None:
    one = Histogram(BOUNDS, (5, 3, 2, 1))
    assert (one.surely_above(200), one.possibly_above(200)) == (3, 3)
    assert (one.surely_above(150), one.possibly_above(150)) == (3, 6)
    assert (one.surely_above(1000), one.possibly_above(1000)) == (0, 1)


def test_percentiles_are_interpolated_and_the_open_bucket_gives_its_lower_end() -> None:
    assert Histogram(BOUNDS, (0, 10, 0, 0)).percentile(0.5) == 150.0
    assert Histogram(BOUNDS, (0, 0, 0, 4)).percentile(0.95) == 400.0
    assert Histogram().percentile(0.95) is None


COUNTS = some.lists(some.integers(0, 1000), min_size=4, max_size=4).map(tuple)


@given(COUNTS, COUNTS, some.sampled_from([0.0, 50.0, 100.0, 300.0, 400.0, 5000.0]))
def test_adding_histograms_adds_what_they_say(one: tuple[int, ...], other: tuple[int, ...], limit: float) -> None:
    a, b = Histogram(BOUNDS, one), Histogram(BOUNDS, other)
    both = a + b
    assert both.total == a.total + b.total
    assert both.surely_above(limit) == a.surely_above(limit) + b.surely_above(limit)
    assert both.possibly_above(limit) == a.possibly_above(limit) + b.possibly_above(limit)
    assert both.surely_above(limit) <= both.possibly_above(limit)
    assert a + Histogram() == a == Histogram() + a


def test_trailing_buckets_may_be_left_out_but_others_may_not_differ() -> None:
    short = Histogram((100.0,), (1, 2))
    assert (short + Histogram(BOUNDS, (1, 1, 1, 1))).counts == (2, 3, 1, 1)
    with pytest.raises(ValueError, match="different buckets"):
        _ = short + Histogram((50.0, 70.0), (1, 1, 1))


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"exponential_buckets": {"num_finite_buckets": 3, "growth_factor": 2.0, "scale": 10.0}}, (10.0, 20.0, 40.0)),
        ({"linear_buckets": {"num_finite_buckets": 3, "width": 5.0, "offset": 1.0}}, (1.0, 6.0, 11.0)),
        ({"explicit_buckets": {"bounds": [1.0, 2.0, 3.0]}}, (1.0, 2.0, 3.0)),
    ],
)
def test_every_kind_of_bucket_is_understood(options: dict[str, dict[str, object]], bounds: tuple[float, ...]) -> None:
    message = Distribution(count=4, bucket_options=options, bucket_counts=[1, 1, 1, 1])
    found = _histogram(message)
    assert (found.bounds[:3], found.counts[:4]) == (bounds, (1, 1, 1, 1))
    assert len(found.counts) == len(found.bounds) + 1


def test_empty_buckets_that_are_left_out_at_the_end_make_nothing_slow() -> None:
    options = {"exponential_buckets": {"num_finite_buckets": 66, "growth_factor": 1.4, "scale": 1.0}}
    found = _histogram(Distribution(count=3, bucket_options=options, bucket_counts=[0, 1, 2]))
    assert found.possibly_above(500.0) == 0, "the last bucket that was sent has an end"
    assert found.percentile(0.95) is not None
    assert max(upper for upper, _ in found.by_upper_bound) < 2.0
    everything = _histogram(Distribution(count=1, bucket_options=options, bucket_counts=[*[0] * 67, 1]))
    assert everything.possibly_above(500.0) == 1, "what is above all bounds has none"


def test_more_buckets_than_bounds_are_no_answer() -> None:
    options = {"explicit_buckets": {"bounds": [1.0]}}
    with pytest.raises(ObserverError, match="more buckets than bounds"):
        _histogram(Distribution(count=3, bucket_options=options, bucket_counts=[1, 1, 1]))


def test_buckets_that_do_not_add_up_are_no_answer() -> None:
    options = {"explicit_buckets": {"bounds": [1.0]}}
    for message in (Distribution(count=3, bucket_options=options, bucket_counts=[1]), Distribution(count=3)):
        with pytest.raises(ObserverError, match="do not add up"):
            _histogram(message)


@pytest.mark.parametrize("value", [{}, {"double_value": 1.5}, {"double_value": float("nan")}, {"int64_value": -1}])
def test_a_count_of_another_kind_is_not_taken_for_zero(value: dict[str, float]) -> None:
    with pytest.raises(ObserverError, match="counts in"):
        _whole(monitoring_v3.TypedValue(value))
    assert _whole(monitoring_v3.TypedValue(double_value=3.0)) == 3

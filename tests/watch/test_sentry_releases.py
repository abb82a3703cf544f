"""Whose errors Sentry tells of: those of the watched revision's release, and not of one that was there before."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import sentry_sdk

from tests.conftest import Address, program, ready
from verification.clients.sentry.answers import Window
from verification.clients.sentry.client import Sentry
from verification.deadline import Deadline, poll
from verification.settings.observers import SentrySettings
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, NEW_ERRORS
from verification.watch.criteria.sentry_rate import SENTRY_RATE
from verification.watch.samples import Sample
from verification.watch.sources.observers import SentrySource

WITHIN = 20.0


class Story:
    """A sandbox's Sentry, in which production's release of before has a day of history."""

    def __init__(self, address: Address) -> None:
        sentry = address["sentry"]
        names = {name: sentry[name] for name in ("url", "organization", "project")}
        self.settings = SentrySettings.model_validate({**names, "timeout": "10s"})
        self.dsn = sentry["dsn"]["production"]
        self.variables = {"SENTRY_AUTH_TOKEN": sentry["token"], "SENTRY_DSN": self.dsn}
        self.created = datetime.now(UTC)
        (self.before,) = self.counted(Window(self.created - timedelta(days=1), self.created - timedelta(seconds=2)))
        self.deployed = secrets.token_hex(20)

    def counted(self, window: Window) -> frozenset[str]:
        with closing(Sentry(self.settings, self.variables)) as sentry:
            return sentry.by_release("production", window).releases

    def send(self, release: str, *, errors: int = 0, transactions: int = 0) -> None:
        """What a service of that release tells Sentry; each time a new type of error."""
        client = sentry_sdk.Client(self.dsn, release=release, environment="production", traces_sample_rate=1.0)
        name = f"Error{secrets.token_hex(4)}"
        for _ in range(errors):
            client.capture_event({"level": "fatal", "exception": {"values": [{"type": name, "value": "broken"}]}})
        for _ in range(transactions):
            trace: dict[str, object] = {
                "trace_id": secrets.token_hex(16),
                "span_id": secrets.token_hex(8),
                "op": "http.server",
            }
            now = datetime.now(UTC)
            client.capture_event(
                {
                    "type": "transaction",
                    "transaction": "GET /",
                    "contexts": {"trace": trace},
                    "start_timestamp": now,
                    "timestamp": now,
                }
            )
        client.close(timeout=WITHIN)

    def samples(self, errors: int, transactions: int) -> list[Sample]:
        """What the watch is told, once Sentry has all that was sent."""
        with closing(Sentry(self.settings, self.variables)) as sentry:

            def arrived() -> bool:
                rate = sentry.by_release("production", Window(self.created, datetime.now(UTC))).of(None)
                return rate.errors >= errors and rate.transactions >= transactions

            assert poll(arrived, Deadline.after(WITHIN), 0.1)
        with closing(SentrySource(self.settings, self.variables, self.created, every=1, dry_run=False)) as source:
            return list(source.read_samples(datetime.now(UTC)))


@pytest.fixture
def story() -> Iterator[Story]:
    with program() as process:
        yield Story(ready(process))


def rate(samples: Iterable[Sample]) -> tuple[float | None, str]:
    (found,) = [sample for sample in samples if sample.stream == SENTRY_RATE]
    return found.value, found.key


def new(samples: Iterable[Sample]) -> list[str]:
    return sorted(sample.stream for sample in samples if sample.stream != SENTRY_RATE and sample.value)


def test_errors_of_the_release_from_before_are_not_the_new_ones(story: Story) -> None:
    story.send(story.before, errors=3, transactions=2)
    story.send(story.deployed, transactions=4)
    samples = story.samples(3, 6)
    assert rate(samples) == (0.0, "4")
    assert new(samples) == []


def test_errors_of_the_new_release_are_its_own(story: Story) -> None:
    story.send(story.before, errors=3, transactions=2)
    story.send(story.deployed, errors=2, transactions=4)
    samples = story.samples(5, 6)
    assert rate(samples) == (2.0, "4")
    assert new(samples) == [CRITICAL_ERRORS, NEW_ERRORS]


def test_a_worker_that_is_new_does_not_hide_the_errors_of_a_service_that_always_names_the_same(story: Story) -> None:
    story.send(story.before, errors=3, transactions=5)
    story.send(story.deployed, transactions=4)
    samples = story.samples(3, 9)
    assert rate(samples) == (3.0, "9")
    assert new(samples) == [CRITICAL_ERRORS, NEW_ERRORS]


@pytest.mark.parametrize("named", [True, False])
def test_where_nothing_names_a_new_release_all_errors_count(named: bool, story: Story) -> None:
    """As with a release that is deployed a second time, or a service that names none."""
    story.send(story.before if named else "", errors=3, transactions=2)
    samples = story.samples(3, 2)
    assert rate(samples) == (3.0, "2")
    assert new(samples) == [CRITICAL_ERRORS, NEW_ERRORS]

"""What a watch makes of the containers' logs and of Sentry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import web
from tests.conftest import Address, program, ready
from tests.watch.scripted_sources import OLD, OURS, START, ScriptedLogs, at
from verification.clients.google.cloud_logging import LogEntry
from verification.errors import ObserverError
from verification.settings.observers import SentrySettings
from verification.watch.criteria.forbidden_events import (
    CRITICAL_ERRORS,
    DATABASE_ERRORS,
    NEW_ERRORS,
    RESTARTS,
)
from verification.watch.criteria.sentry_rate import SENTRY_RATE
from verification.watch.sources.observers import SentrySource, TroubleSource

# --- the containers' logs ---------------------------------------------------------------------------------------


def entry(seconds: float, text: str, revision: str = OURS) -> LogEntry:
    return LogEntry(f"{seconds}-{text}", at(seconds), revision, "ERROR", text, "run.googleapis.com/stderr")


def test_each_trouble_is_told_once_and_by_its_kind() -> None:
    logs = ScriptedLogs()
    source = TroubleSource(logs, OURS, START, every=30, delay=15)
    logs.entries = [
        entry(1, "pymongo.errors.ServerSelectionTimeoutError: mongo:27017 refused"),
        entry(2, "Memory limit of 512 MiB exceeded with 530 MiB used.", revision=""),
        entry(3, "ValueError: a thing of the service's own"),
        entry(4, "AutoReconnect: connection closed", revision=OLD),
    ]
    told_first = [(one.stream, one.at) for one in source.read_samples(at(30)) if one.key]
    assert told_first == [(DATABASE_ERRORS, at(1)), (RESTARTS, at(2))]
    looked = list(source.read_samples(at(60)))
    assert [(one.stream, one.key) for one in looked] == [(DATABASE_ERRORS, ""), (RESTARTS, "")], "looked, nothing new"
    logs.entries.append(entry(20, "NetworkTimeout: mongo:27017: timed out"))  # visible late
    assert [one.at for one in source.read_samples(at(75)) if one.key] == [at(20)]
    assert [one for second in (90, 120, 150) for one in source.read_samples(at(second)) if one.key] == []


# --- Sentry -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> Iterator[Address]:
    with program("--users-rpm", "60") as process:
        yield ready(process)


@pytest.fixture
def asked(world: Address) -> Iterator[Callable[[bool], SentrySource]]:
    sentry = world["sentry"]
    settings = SentrySettings.model_validate(
        {"url": sentry["url"], "organization": sentry["organization"], "project": sentry["project"], "timeout": "10s"}
    )
    variables = {"SENTRY_AUTH_TOKEN": sentry["token"], "SENTRY_DSN": sentry["dsn"]["production"]}
    made: list[SentrySource] = []

    def make(dry_run: bool) -> SentrySource:
        since = datetime.now(UTC) - timedelta(minutes=30)
        made.append(SentrySource(settings, variables, since, every=1, dry_run=dry_run))
        return made[-1]

    yield make
    web.put(f"{world['operator']}/faults", json={"faults": []}).raise_for_status()
    for one in made:
        one.close()


def test_sentry_tells_its_counts_and_that_it_looked(asked: Callable[[bool], SentrySource]) -> None:
    rate, *rest = asked(False).read_samples(datetime.now(UTC))
    assert (rate.stream, rate.missing) == (SENTRY_RATE, False)
    assert int(rate.key) > 0
    assert [(one.stream, one.key) for one in rest[-2:]] == [(NEW_ERRORS, ""), (CRITICAL_ERRORS, "")]


def test_a_sentry_that_finds_nothing_is_not_believed_unproven(
    asked: Callable[[bool], SentrySource], world: Address
) -> None:
    web.put(f"{world['operator']}/faults", json={"faults": ["sentry-empty"]}).raise_for_status()
    with pytest.raises(ObserverError):
        asked(True).read_samples(datetime.now(UTC))


def test_a_new_critical_error_is_told_with_its_name(asked: Callable[[bool], SentrySource], world: Address) -> None:
    source = asked(False)
    release = {"environment": "production", "faults": ["critical-error"]}
    web.post(f"{world['operator']}/release", json=release, timeout=20).raise_for_status()
    found = [one for one in source.read_samples(datetime.now(UTC) + timedelta(seconds=5)) if one.key and one.value]
    assert {one.stream for one in found if one.stream != SENTRY_RATE} == {NEW_ERRORS, CRITICAL_ERRORS}

"""Sentry's counts and issues, and when its "nothing" is believed. The sandbox is this module's own: it changes it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks import web
from tests.clients.hostile import Conversation, hostile
from tests.conftest import Address, Start
from verification.clients.sentry.answers import Window
from verification.clients.sentry.canary import CANARY_TITLE, send_canary
from verification.clients.sentry.client import Sentry, dsn_of
from verification.deadline import Deadline, poll
from verification.errors import NotAsked, NotPermitted, ObserverError, ServiceError, SettingsError
from verification.probes.sentry import SentryReview, review
from verification.redaction import redact
from verification.settings.observers import SentrySettings

DAY = 86_400.0
DEADLINE = 20.0
DRY = True


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def faults(address: Address) -> Iterator[Callable[..., None]]:
    def put(*names: str) -> None:
        web.put(f"{address['operator']}/faults", json={"faults": list(names)}, timeout=20).raise_for_status()

    yield put
    put()


def settings_of(address: Address, **changed: Any) -> SentrySettings:
    sentry = address["sentry"]
    given = {"url": sentry["url"], "organization": sentry["organization"], "project": sentry["project"]}
    return SentrySettings.model_validate({**given, "timeout": "10s", "canary_within": "10s", **changed})


def variables_of(address: Address) -> dict[str, str]:
    return {"SENTRY_AUTH_TOKEN": address["sentry"]["token"], "SENTRY_DSN": address["sentry"]["dsn"]["staging"]}


def reviewed(address: Address, dry_run: bool = False, role: str = "staging", **changed: Any) -> SentryReview:
    return review(settings_of(address, **changed), role, Window.last(DAY), variables_of(address), dry_run)


@pytest.fixture
def sentry(address: Address) -> Iterator[Sentry]:
    client = Sentry(settings_of(address), variables_of(address))
    yield client
    client.close()


def test_the_rate_comes_with_both_counts_and_says_how_they_were_made(address: Address) -> None:
    found = reviewed(address)
    assert found.errors.errors > 0
    assert found.errors.transactions > 1000
    rate = found.rate
    assert rate.value == pytest.approx(100 * found.errors.errors / found.errors.transactions)
    assert (rate.unit, rate.samples, rate.window_s) == ("%", found.errors.transactions, DAY)
    assert f"{found.errors.errors} errors, {found.errors.transactions} transactions" in rate.note
    assert "sampled" in rate.note
    rate.must_be_below(1.0)
    with pytest.raises(ServiceError):
        rate.must_be_below(0.01)


def test_what_sentry_knows_well_is_no_new_type(address: Address) -> None:
    reviewed(address).new_types.must_be(0)


def test_data_of_the_window_prove_the_search_without_a_canary(address: Address, sentry: Sentry) -> None:
    variables = {"SENTRY_AUTH_TOKEN": address["sentry"]["token"]}
    found = review(settings_of(address), "staging", Window.last(DAY), variables, dry_run=DRY)
    assert found.proof == "its searches find other events"


def test_a_canary_is_found_and_neither_counted_nor_new(address: Address, sentry: Sentry) -> None:
    before = reviewed(address)
    canary = sentry.prove("staging", address["sentry"]["dsn"]["staging"])
    assert len(canary.mark) == 16
    after = reviewed(address)
    assert after.errors.errors == before.errors.errors
    assert after.new == before.new
    assert CANARY_TITLE not in str(after.new)


def test_no_transaction_means_that_the_rate_is_unknown(address: Address, sentry: Sentry) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    rate = sentry.error_rate("staging", Window(long_ago, long_ago + timedelta(minutes=1))).rate
    assert rate.value is None
    with pytest.raises(ObserverError, match="no transaction"):
        rate.must_be_below(1)


def test_a_name_that_sentry_does_not_know_is_not_quiet(address: Address) -> None:
    with pytest.raises(ObserverError, match="no environment stagin; it knows: production, staging"):
        reviewed(address, staging="stagin")
    with pytest.raises(ObserverError, match="no project backend"):
        reviewed(address, project="backend")


def test_sentry_down_is_inconclusive(address: Address, faults: Callable[..., None]) -> None:
    faults("sentry-down")
    with pytest.raises(ObserverError, match="503"):
        reviewed(address)


def test_an_empty_search_is_not_believed(address: Address, faults: Callable[..., None]) -> None:
    faults("sentry-empty")
    with pytest.raises(ObserverError):
        reviewed(address, canary_within="2s")


def test_a_canary_that_does_not_turn_up_means_that_nothing_is_known(
    address: Address, faults: Callable[..., None]
) -> None:
    client = Sentry(settings_of(address, canary_within="2s"), variables_of(address))
    client.must_know("staging")
    faults("sentry-empty")
    with pytest.raises(ObserverError, match="events and issues did not find it"):
        client.prove("staging", address["sentry"]["dsn"]["staging"])
    client.close()


def test_a_token_that_is_refused_or_missing_is_not_permitted(address: Address) -> None:
    for variables in ({}, {"SENTRY_AUTH_TOKEN": "sntryu_0000000000"}):
        with pytest.raises(NotPermitted, match="SENTRY_AUTH_TOKEN") as caught:
            review(settings_of(address), "staging", Window.last(DAY), variables, dry_run=False)
        assert "sntryu_0000000000" not in redact(str(caught.value))


def test_a_new_type_on_staging_is_bad_and_listed_with_its_link(address: Address, sentry: Sentry) -> None:
    release = {"environment": "staging", "faults": ["new-error-type"], "commit": secrets.token_hex(20)}
    web.post(f"{address['operator']}/release", json=release, timeout=30).raise_for_status()
    poll(lambda: reviewed(address).new, Deadline.after(DEADLINE), 0.1)
    found = reviewed(address)
    assert [one.count > 0 for one in found.new] == [True]
    with pytest.raises(ServiceError) as caught:
        found.new_types.must_be(0)
    assert found.new[0].link in caught.value.cause
    assert found.new[0].title in caught.value.cause
    assert sentry.environments_of(found.new[0]) == {"staging"}


def test_an_empty_sentry_without_a_dsn_is_inconclusive_and_names_it() -> None:
    with pytest.raises(NotPermitted) as caught:
        dsn_of({})
    assert "SENTRY_DSN" in caught.value.remedy


PROJECT = b'[{"id": "1", "slug": "api", "environments": ["staging"]}]'


def nothing(one: Conversation) -> None:
    """A server that answers everything, and never finds anything."""
    if "/projects/" in one.request:
        one.answer(PROJECT)
    else:
        one.answer(b'{"data": [{"count()": 0}], "meta": {}}' if "/events/" in one.request else b"[]")


def test_without_proof_nothing_is_believed_in_a_dry_run_or_without_a_dsn() -> None:
    with hostile(nothing) as server:
        settings = SentrySettings(url=server.url, organization="o", project="api")
        token = {"SENTRY_AUTH_TOKEN": "sntryu_1111111111"}
        with pytest.raises(NotAsked, match="dry run"):
            review(settings, "staging", Window.last(DAY), token, dry_run=True)
        with pytest.raises(NotPermitted, match="no proof"):
            review(settings, "staging", Window.last(DAY), token, dry_run=False)


def test_issues_that_the_server_should_have_filtered_are_filtered_here() -> None:
    issue = '{"id": "%d", "title": "%s", "firstSeen": "%s", "count": "3", "userCount": 2%s}'
    fresh = Window.last(60).start.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    issues = ",".join(
        [
            issue % (1, "Old", "2020-01-01T00:00:00Z", ""),
            issue % (2, "New", fresh, ""),
            issue % (3, CANARY_TITLE, fresh, ""),
            issue % (4, "Slow query", fresh, ', "issueCategory": "performance"'),
        ]
    )

    def script(one: Conversation) -> None:
        one.answer(PROJECT if "/projects/" in one.request else f"[{issues}]".encode())

    with hostile(script) as server:
        client = Sentry(
            SentrySettings(url=server.url, organization="o", project="api"), {"SENTRY_AUTH_TOKEN": "sntryu_2222222222"}
        )
        found = client.new_issues("staging", Window.last(DAY))
        client.close()
    assert [(one.title, one.count, one.users) for one in found] == [("New", 3, 2)]
    assert "project=1&environment=staging" in server.requests[1]


@pytest.mark.parametrize("dsn", ["nonsense", "http://key@sentry.example/1", "https://sentry.example/1"])
def test_a_dsn_that_is_none_or_goes_in_the_clear_is_refused(dsn: str) -> None:
    with pytest.raises(SettingsError, match="SENTRY_DSN"):
        send_canary(dsn, "staging", 1)

"""Who answered users before a revision began to: what is read out of the log, and out of the counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest, LoggedRequests
from verification.clients.google.cloud_monitoring import CloudMonitoring, RevisionTraffic
from verification.clients.google.user_answers import Newcomer, by_request_count, by_request_log
from verification.settings.service import CloudRunSettings

SERVICE = CloudRunSettings(service="s", region="r", project="p")
CREATED = datetime.now(UTC) - timedelta(minutes=10)
NEWCOMER = Newcomer("c", CREATED, "deployment-verification", ("http://candidate",))


class Log(CloudLogging):
    """`a b c`: who answered, second after second, up to the newcomer's creation and on; `.` is nobody."""

    def __init__(self, script: str, *, kept: bool = True) -> None:
        super().__init__(SERVICE)
        self._kept = kept
        self._lines = [
            LoggedRequest(str(second), CREATED + timedelta(seconds=second), name, 200, 0.1, "Mozilla", "/", "shop")
            for second, name in enumerate(script.split())
            if name != "."
        ]
        self.questions: list[str] = []

    def some_requests(
        self, since: datetime, until: datetime, most: int, where: str = "", *, newest: bool = False
    ) -> LoggedRequests:
        self.questions.append(where)
        if not where:
            return LoggedRequests(tuple(self._lines[:1]) if self._kept else (), complete=True, unreadable=0)
        wanted = "NOT resource" not in where
        found = [one for one in self._lines if (one.revision == "c") is wanted and since <= one.at < until]
        return LoggedRequests(tuple(found[-most:] if newest else found[:most]), complete=True, unreadable=0)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a", "a"),
        ("a a a b c", "b"),
        ("a b b . c a c", "b"),  # what answers after the newcomer began is no predecessor
        ("a a b a a a", ""),  # in turns
        ("b " + "a " * 10, "a"),
        ("a b " + "a " * 10 + "c", "a"),  # a stray answer, then a row that no split gives
        ("a b " + "a " * 9 + "c", ""),
        ("c c c", ""),
        ("", ""),
    ],
)
def test_the_log_names_who_answered_last_before_the_newcomer_did(script: str, expected: str) -> None:
    found = by_request_log(Log(script), NEWCOMER)
    assert found.revision == expected
    assert bool(found.problem) is not bool(expected)
    assert not expected or found.hosts == {"shop"}


def test_users_in_turns_are_told_with_who_answered() -> None:
    assert by_request_log(Log("a b a b a"), NEWCOMER).problem == "users were answered by a and b in turns"


def test_a_log_that_is_not_kept_is_told_from_one_without_users() -> None:
    assert by_request_log(Log("c"), NEWCOMER).logged
    assert not by_request_log(Log("c", kept=False), NEWCOMER).logged


def test_users_are_neither_we_nor_whoever_asks_a_tag() -> None:
    log = Log("a c")
    by_request_log(log, NEWCOMER)
    for question in log.questions:
        assert 'NOT httpRequest.userAgent:"deployment-verification"' in question
        assert 'NOT httpRequest.requestUrl:"http://candidate/"' in question
        assert 'NOT httpRequest.requestUrl=~"^https://[^/]+---"' in question


class Counts(CloudMonitoring):
    """`a a+b c`: who answered, minute after minute, up to now."""

    def __init__(self, script: str) -> None:
        super().__init__(SERVICE)
        minutes = script.split()
        first = datetime.now(UTC) - timedelta(minutes=len(minutes))
        self._periods = [
            RevisionTraffic(
                name,
                first + timedelta(minutes=number),
                first + timedelta(minutes=number + 1),
                0 if name == "." else 7,
                0,
            )
            for number, names in enumerate(minutes)
            for name in names.split("+")
        ]

    def requests(self, since: datetime, until: datetime) -> tuple[RevisionTraffic, ...]:
        assert until - since >= timedelta(hours=6)
        return tuple(self._periods)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a a b b c", "b"),
        ("a b b+c c", "b"),
        ("a a+b", ""),
        ("a a+b b c c", "b"),
        ("a c b c", "a"),
        ("a b . .", "b"),
        (". c", ""),
    ],
)
def test_the_counts_name_who_answered_in_the_minute_before(script: str, expected: str) -> None:
    found = by_request_count(Counts(script), NEWCOMER)
    assert found.revision == expected
    assert bool(found.problem) is not bool(expected)

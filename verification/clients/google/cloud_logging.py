"""Cloud Logging: the request log of one service line by line, and the other lines that tell of trouble.

https://cloud.google.com/run/docs/logging. Each page of entries is a call, and a project has 60 of them a minute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from verification.clients.google.errors import GoogleSystem, ask, must_be_local
from verification.clients.lazy_imports import Lazy, load
from verification.redaction import redact
from verification.settings.service import CloudRunSettings

if TYPE_CHECKING:
    from google.cloud.logging import Client

T = TypeVar("T")

SYSTEM = "Cloud Logging"
_SYSTEM = GoogleSystem(SYSTEM, "roles/logging.viewer")
REQUEST_LOG, SYSTEM_LOG = "run.googleapis.com/requests", "run.googleapis.com/varlog/system"
_PAGE = 1000  # the most that one call gives
_MOST_REQUESTS, _MOST_TROUBLES = 5_000, 2_000
_LONGEST_TEXT = 2_000
_DURATION = re.compile(r"\d+(\.\d+)?s", re.ASCII)


class _Resource(Protocol):
    labels: Mapping[str, str]


class _LogLine(Protocol):
    """What is read of the library's LogEntry, which has no types of its own."""

    log_name: str
    insert_id: str | None
    timestamp: datetime | None
    severity: str | None
    http_request: object
    trace: str | None
    resource: _Resource | None
    payload: object


class _Duration(BaseModel):
    seconds: float = 0
    nanos: float = 0


def _seconds(value: object) -> object:
    """A duration as JSON ("0.123s") or as a message in JSON, as a number; anything else as it is."""
    if isinstance(value, Mapping):
        duration = _Duration.model_validate(value)
        return duration.seconds + duration.nanos / 1e9
    return float(value[:-1]) if isinstance(value, str) and _DURATION.fullmatch(value) else value


class _HttpRequest(BaseModel):
    """What is read of a line's `httpRequest`; JSON may give a status as 200 or 200.0."""

    status: float = Field(ge=100, lt=600, multiple_of=1, strict=True)
    latency: Annotated[float | None, BeforeValidator(_seconds)] = Field(None, ge=0, allow_inf_nan=False, strict=True)
    agent: str | None = Field(None, alias="userAgent")
    url: str | None = Field(None, alias="requestUrl")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of the request log. `at` is when the request came in; `latency_s` is None where none was noted.

    `revision` is empty for a request that reached none; `path` has no query, `host` is whom the client asked. `said` is
    why Cloud Run answered it itself: empty where a revision did. `trace` is that of the answer's headers.
    """

    insert_id: str
    at: datetime
    revision: str
    status: int
    latency_s: float | None
    user_agent: str
    path: str
    host: str = ""
    said: str = ""
    trace: str = ""

    @property
    def for_want_of_an_instance(self) -> bool:
        """Whether Cloud Run refused it because no instance of the revision was there: that is an error of a release."""
        return "no available instance" in self.said


@dataclass(frozen=True, slots=True)
class LoggedRequests:
    """The requests of a window, oldest first, each once.

    `complete` is False where there were more than were asked for: the oldest (or newest, as asked for) are here, and no
    count of them may be believed. `unreadable` lines had no usable id, time, status or latency, and are left out.
    """

    requests: tuple[LoggedRequest, ...]
    complete: bool
    unreadable: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of another log, such as `run.googleapis.com/stderr`; `text` is redacted, and cut where it is long."""

    insert_id: str
    at: datetime
    revision: str
    severity: str
    text: str
    log: str


Line = TypeVar("Line", LoggedRequest, LogEntry)


class CloudLogging:
    """Client of Cloud Logging for one service; `timeout`: seconds for each question. Thread-safe."""

    def __init__(self, settings: CloudRunSettings, timeout: float = 20) -> None:
        self._settings = settings
        self._timeout = timeout
        self._client = Lazy(lambda: _client(settings))

    def requests(self, since: datetime, until: datetime, most: int = _MOST_REQUESTS) -> LoggedRequests:
        """The requests that came in from `since` until before `until`, to all revisions and to none.

        A line can be read once its request has ended and Logging has taken it in: read a window again, a little later,
        before believing that it is whole. Raises ObserverError, NotPermitted.
        """
        return self.some_requests(since, until, most)

    def some_requests(
        self, since: datetime, until: datetime, most: int, where: str = "", *, newest: bool = False
    ) -> LoggedRequests:
        """Those of which `where` is true, in Logging's query language; the oldest, or the `newest`, `most` of them."""

        def read_window() -> LoggedRequests:
            question = " AND ".join(filter(None, (self._window(since, until), _log_is(REQUEST_LOG), where)))
            lines = list(self._entries(question, most + 1, f"timestamp {'desc' if newest else 'asc'}"))
            read = [_request(line) for line in lines[:most]]
            return LoggedRequests(_in_order(read), complete=len(lines) <= most, unreadable=read.count(None))

        return self._asked(read_window, "requests")

    def troubles(self, since: datetime, until: datetime) -> tuple[LogEntry, ...]:
        """What the service or its containers complained of in that window, oldest first; the newest 2000 at most.

        Lines of severity ERROR and above, those of Cloud Run itself (`varlog/system`) from WARNING on, and any that
        tells of a memory limit; not the request log, and not the audit log of who changed what.
        Raises ObserverError, NotPermitted.
        """
        system = _log_is(SYSTEM_LOG)
        question = (
            f'{self._window(since, until)} AND NOT {_log_is(REQUEST_LOG)} AND NOT logName:"cloudaudit.googleapis.com" '
            f'AND (severity>=ERROR OR ({system} AND severity>=WARNING) OR ({system} AND textPayload:"Memory limit of"))'
        )
        return self._asked(
            lambda: _in_order(map(_entry, self._entries(question, _MOST_TROUBLES, "timestamp desc"))), "errors"
        )

    def first_line(self, revision: str, text: str, since: datetime, until: datetime) -> LogEntry | None:
        """The first line of `revision` in that window that holds `text`, of any log but that of requests.

        None where there is none, or none yet. Raises ObserverError, NotPermitted.
        """
        named = f"resource.labels.revision_name={quoted(revision)}"
        question = f"{self._window(since, until)} AND {named} AND NOT {_log_is(REQUEST_LOG)} AND {quoted(text)}"
        found = self._asked(
            lambda: _in_order(map(_entry, self._entries(question, 1, "timestamp asc"))), f"lines with {text!r}"
        )
        return found[0] if found else None

    def reach(self) -> None:
        """Ask for one line of the last day, whatever it is. Raises ObserverError, NotPermitted."""
        self._asked(lambda: list(self._entries(self._ours, 1, "timestamp desc")), "its newest line")

    def close(self) -> None:
        """End the connection."""
        self._client.close(lambda client: client.close())  # type: ignore[no-untyped-call]

    @property
    def _ours(self) -> str:
        labels = {"service_name": self._settings.service, "location": self._settings.region}
        named = " AND ".join(f"resource.labels.{name}={quoted(value)}" for name, value in labels.items())
        return f'resource.type="cloud_run_revision" AND {named}'

    def _window(self, since: datetime, until: datetime) -> str:
        first, end = since.astimezone(UTC).isoformat(), until.astimezone(UTC).isoformat()
        return f'{self._ours} AND timestamp>="{first}" AND timestamp<"{end}"'

    def _entries(self, question: str, most: int, order: str) -> Iterator[_LogLine]:
        found: Iterator[_LogLine] = self._client.value.list_entries(  # type: ignore[no-untyped-call]
            resource_names=[f"projects/{self._settings.project}"],
            filter_=question,
            order_by=order,
            max_results=most,
            page_size=min(most, _PAGE),
        )
        return found

    def _asked(self, question: Callable[[], T], what: str) -> T:
        return ask(question, self._timeout, _SYSTEM, f"{what} of {self._settings.service}")


def _client(settings: CloudRunSettings) -> Client:
    """Google's client over HTTP, whose errors come at once; gRPC would repeat a question for a minute first."""
    load("google.cloud.logging", "google.auth.transport.requests")
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.logging import Client, Logger, Resource

    class Reader(Client):
        """The client, without a question of its own for each log that it reads from.

        The library makes a Logger for every log's name, to write with, and each one asks this machine's metadata
        server where it is running: outside Google's cloud that takes as long as a name takes not to be found.
        """

        def logger(
            self, name: str, *, labels: dict[str, str] | None = None, resource: Resource | None = None
        ) -> Logger:
            nowhere = Resource(type="global", labels={})
            made: Logger = super().logger(name, labels=labels, resource=resource or nowhere)  # type: ignore[no-untyped-call]
            return made

    endpoint = settings.logging
    if endpoint is None:
        return Reader(project=settings.project, _use_grpc=False)  # type: ignore[no-untyped-call]
    must_be_local(urlsplit(endpoint).hostname or "", f"cloud_run.logging {endpoint}")
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    session = AuthorizedSession(anonymous)  # type: ignore[no-untyped-call]
    session.trust_env = False  # else the environment's proxy would be asked for a way to this machine
    return Reader(  # type: ignore[no-untyped-call]
        project=settings.project,
        credentials=anonymous,
        client_options={"api_endpoint": endpoint.rstrip("/")},
        _http=session,
        _use_grpc=False,
    )


def _in_order(lines: Iterable[Line | None]) -> tuple[Line, ...]:
    """The readable ones, oldest first, each once."""
    known = {line.insert_id: line for line in lines if line}
    return tuple(sorted(known.values(), key=lambda line: (line.at, line.insert_id)))


def quoted(value: str) -> str:
    """`value` as a text in Logging's query language."""
    return json.dumps(value, ensure_ascii=False)


def _log_is(name: str) -> str:
    return f'log_id("{name}")'


def _request(line: _LogLine) -> LoggedRequest | None:
    """The line as a request; None where what it says cannot be counted."""
    try:
        http = _HttpRequest.model_validate(line.http_request)
    except ValidationError:
        return None
    if not line.insert_id or line.timestamp is None:
        return None
    at, status, (host, path) = line.timestamp.astimezone(UTC), int(http.status), _host_and_path(http.url or "")
    said, trace = redact(_said(line.payload))[:_LONGEST_TEXT], str(line.trace or "").rpartition("/")[2]
    asked = (http.latency, http.agent or "", path, host)
    return LoggedRequest(line.insert_id, at, _revision(line), status, *asked, said, trace)


def _entry(line: _LogLine) -> LogEntry | None:
    if not line.insert_id or line.timestamp is None:
        return None
    log = str(line.log_name).partition("/logs/")[2].replace("%2F", "/")
    text = redact(_said(line.payload))[:_LONGEST_TEXT]
    severity = str(line.severity or "DEFAULT")
    return LogEntry(line.insert_id, line.timestamp.astimezone(UTC), _revision(line), severity, text, log)


def _said(payload: object) -> str:
    if isinstance(payload, Mapping):
        message = payload.get("message")
        return message if isinstance(message, str) else json.dumps(payload, default=str)
    return "" if payload is None else str(payload)


def _revision(line: _LogLine) -> str:
    labels = line.resource.labels if line.resource else {}
    return str(labels.get("revision_name", ""))


def _host_and_path(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.netloc, parts.path

"""Cloud Logging v2 over HTTP: what was logged, as `entries:list` tells it. It takes no entry in.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.google.http import exception_handlers, read_body, rfc3339, validate
from sandbox.google.logging_filter import SEVERITIES, Expression, Value, earliest, parse_filter
from sandbox.platform.errors import PermissionDenied, Unavailable
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from sandbox.platform.log_store import LogLine, LogStore, ServedRequest

PATH = "/v2/entries:list"
_USUAL_PAGE, _LARGEST_PAGE = 50, 1000
_RESOURCE = "cloud_run_revision"


class _ListLogEntriesRequest(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    resource_names: list[str] = Field(min_length=1)
    filter: str = ""
    order_by: Literal["", "timestamp", "timestamp asc", "timestamp desc"] = ""
    page_size: int = Field(0, ge=0)
    page_token: str = Field("", pattern=r"^([0-9]+\.[0-9]+-[0-9]+)?$")


class CloudLoggingApi:
    """The method of the API that reading needs. `faults` are those in force: logging-down."""

    def __init__(self, store: LogStore, project: str, region: str, faults: AbstractSet[str]) -> None:
        self._store = store
        self._project, self._region = project, region
        self._faults = faults

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route(PATH, self._list, methods=["POST"])], exception_handlers=exception_handlers())

    async def _list(self, request: Request) -> Response:
        if "logging-down" in self._faults:
            raise Unavailable("The service is currently unavailable.")
        asked = validate(await read_body(request), _ListLogEntriesRequest)
        for name in asked.resource_names:
            if name != f"projects/{self._project}":
                permission = "Permission 'logging.logEntries.list' denied on resource (or it may not exist)"
                raise PermissionDenied(f"{permission}: {name}")
        size, (now, start) = min(asked.page_size or _USUAL_PAGE, _LARGEST_PAGE), _page_start(asked.page_token)
        newest_first = asked.order_by.endswith("desc")
        found = self._found(parse_filter(asked.filter), now, start + size + 1 if newest_first else None)
        found.sort(key=lambda line: (round(line.at, 6), line.insert_id), reverse=newest_first)
        page = found[start : start + size]
        answer: dict[str, Json] = {"entries": [self._entry(line) for line in page]} if page else {}
        if start + size < len(found):
            answer["nextPageToken"] = f"{now:.6f}-{start + size}"
        return JSONResponse(answer)

    def _found(self, wanted: Expression, now: float, newest: int | None) -> list[LogLine]:
        """The lines that `wanted` is true of; where only the `newest` count, perhaps some more."""
        found: list[LogLine] = []
        times: list[float] = []  # when the newest of them happened; a heap
        for line in self._store.visible(now, since=earliest(wanted)):
            if newest is not None and len(times) == newest and line.received < times[0]:
                break  # a line happened before it was received, and those that follow were received even earlier
            if wanted.holds(_LineFields(line, self._entry)):
                found.append(line)
                (heappush if newest is None or len(times) < newest else heappushpop)(times, line.at)
        return found

    def _labels(self, line: LogLine) -> dict[str, str]:
        labels = {
            "project_id": self._project,
            "location": self._region,
            "service_name": line.service,
            "configuration_name": line.service,
            "revision_name": line.revision,
        }
        return {name: value for name, value in labels.items() if value}

    def _entry(self, line: LogLine) -> dict[str, Json]:
        entry: dict[str, Json] = {
            "logName": f"projects/{self._project}/logs/{quote(line.log, safe='')}",
            "insertId": line.insert_id,
            "severity": line.severity,
            "timestamp": _time(line.at),
            "receiveTimestamp": _time(line.received),
            "resource": {"type": _RESOURCE, "labels": self._labels(line)},
        }
        if line.text:
            entry["textPayload"] = line.text
        if line.http is not None:
            trace = f"projects/{self._project}/traces/{line.http.trace}"
            entry |= {"httpRequest": _http(line.http), "trace": trace, "traceSampled": True}
        return entry


class _LineFields:
    """What a filter may ask about a line: the entry, flat, with numbers for what is compared by size.

    The whole entry is made only where it is asked for: a filter is held against each of some 10,000 lines.
    """

    __slots__ = ("_entry", "_line")

    def __init__(self, line: LogLine, entry: Callable[[LogLine], Mapping[str, Json]]) -> None:
        self._line, self._entry = line, entry

    def get(self, name: str) -> Value | None:
        """The field, or None for one that the entry lacks."""
        known = _FIELDS.get(name)
        return known(self._line) if known else dict(_flat(self._entry(self._line))).get(name)

    def values(self) -> Iterator[Value]:
        """All texts of the entry."""
        yield self._line.log
        yield from (text for _, text in _flat(self._entry(self._line)))


_FIELDS: dict[str, Callable[[LogLine], Value | None]] = {
    "log_id": lambda line: line.log,
    "timestamp": lambda line: round(line.at, 6),
    "receiveTimestamp": lambda line: round(line.received, 6),
    "severity": lambda line: float(SEVERITIES[line.severity]),
    "resource.type": lambda _: _RESOURCE,
    "resource.labels.service_name": lambda line: line.service or None,
    "resource.labels.revision_name": lambda line: line.revision or None,
    "httpRequest.status": lambda line: float(line.http.status) if line.http else None,
    "httpRequest.latency": lambda line: line.http.seconds if line.http else None,
    "httpRequest.requestUrl": lambda line: line.http.url if line.http else None,
    "httpRequest.userAgent": lambda line: line.http.user_agent if line.http else None,
}


def _flat(entry: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The texts of an entry by their paths."""
    for name, value in entry.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            yield f"{prefix}{name}", value


def _http(http: ServedRequest) -> dict[str, Json]:
    return {
        "requestMethod": http.method,
        "requestUrl": http.url,
        "status": http.status,
        "userAgent": http.user_agent,
        "remoteIp": http.client,
        "latency": f"{http.seconds:.9f}s",
        "protocol": "HTTP/1.1",
    }


def _time(moment: float) -> str:
    return rfc3339(datetime.fromtimestamp(moment, UTC))


def _page_start(token: str) -> tuple[float, int]:
    """The moment that the pages are of, so that new entries do not shift them, and where the next one starts."""
    if not token:
        return time.time(), 0
    moment, start = token.split("-")
    return float(moment), int(start)

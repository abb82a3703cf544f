"""Cloud Logging v2 over HTTP: what was logged, as `entries:list` tells it. It takes no entry in.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.google.http import exception_handlers, read_body
from sandbox.google.logging_filter import SEVERITIES, Fields, Value, earliest, parse_filter
from sandbox.platform.errors import InvalidArgument, PermissionDenied, Unavailable
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from sandbox.platform.log_store import LogLine, LogStore, ServedRequest

PATH = "/v2/entries:list"
_USUAL_PAGE, _LARGEST_PAGE = 50, 1000
_KNOWN = {"resourceNames", "filter", "orderBy", "pageSize", "pageToken"}
_ORDERS = {"": False, "timestamp": False, "timestamp asc": False, "timestamp desc": True}
_TOKEN = re.compile(r"(\d+\.\d+)-(\d+)", re.ASCII)


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
        body = await read_body(request)
        unknown = sorted(body.keys() - _KNOWN)
        if unknown:
            raise InvalidArgument(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
        self._must_be_ours(body.get("resourceNames"))
        order = _ORDERS.get(_text(body, "orderBy"))
        if order is None:
            raise InvalidArgument('order_by must be "timestamp asc" or "timestamp desc".', "order_by")
        size, (now, start) = _page_size(body), _token(_text(body, "pageToken"))
        found = self._found(_text(body, "filter"), now)
        found.sort(key=lambda line: (round(line.at, 6), line.insert_id), reverse=order)
        page = found[start : start + size]
        answer: dict[str, Json] = {"entries": [self._entry(line) for line in page]} if page else {}
        if start + size < len(found):
            answer["nextPageToken"] = f"{now:.6f}-{start + size}"
        return JSONResponse(answer)

    def _found(self, text: str, now: float) -> list[LogLine]:
        wanted = parse_filter(text)
        lines = self._store.visible(now, since=earliest(wanted))
        return [line for line in lines if wanted.holds(self._fields(line))]

    def _fields(self, line: LogLine) -> Fields:
        """What a filter may ask about: the entry, flat, with numbers for what is compared by size."""
        fields: dict[str, Value] = {**dict(_flat(self._entry(line))), "log_id": line.log}
        fields |= {"timestamp": round(line.at, 6), "receiveTimestamp": round(line.received, 6)}
        fields["severity"] = float(SEVERITIES[line.severity])
        if line.http is not None:
            fields |= {"httpRequest.status": float(line.http.status), "httpRequest.latency": line.http.seconds}
        return fields

    def _labels(self, line: LogLine) -> dict[str, str]:
        labels = {
            "project_id": self._project,
            "location": self._region,
            "service_name": line.service,
            "configuration_name": line.service,
            "revision_name": line.revision,
        }
        return {name: value for name, value in labels.items() if value}

    def _log_name(self, line: LogLine) -> str:
        return f"projects/{self._project}/logs/{quote(line.log, safe='')}"

    def _entry(self, line: LogLine) -> dict[str, Json]:
        entry: dict[str, Json] = {
            "logName": self._log_name(line),
            "insertId": line.insert_id,
            "severity": line.severity,
            "timestamp": _time(line.at),
            "receiveTimestamp": _time(line.received),
            "resource": {"type": "cloud_run_revision", "labels": self._labels(line)},
        }
        if line.http is not None:
            return entry | {"httpRequest": _http(line.http)}
        return entry | {"textPayload": line.text}

    def _must_be_ours(self, names: Json) -> None:
        if not isinstance(names, list) or not names:
            raise InvalidArgument("resource_names must name at least one resource.", "resource_names")
        for name in names:
            if name != f"projects/{self._project}":
                raise PermissionDenied(
                    f"Permission 'logging.logEntries.list' denied on resource (or it may not exist): {name}"
                )


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
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _text(body: dict[str, Json], key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str):
        raise InvalidArgument(f"Invalid value at '{key}' (TYPE_STRING), {value!r}", key)
    return value


def _page_size(body: dict[str, Json]) -> int:
    size = body.get("pageSize") or _USUAL_PAGE
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidArgument(f"page_size must not be negative, and is {size!r}.", "page_size")
    return min(size, _LARGEST_PAGE)


def _token(text: str) -> tuple[float, int]:
    """The moment that the pages are of, so that new entries do not shift them, and where the next one starts."""
    if not text:
        return time.time(), 0
    found = _TOKEN.fullmatch(text)
    if not found:
        raise InvalidArgument(f"page_token {text[:100]!r} is invalid.", "page_token")
    return float(found[1]), int(found[2])

"""Sentry's ingest: parses the envelopes that SDKs send into error events and spans."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from sandbox.sentry.http import SentryRefusal
from sandbox.sentry.model import ErrorEvent, SentrySpan, SentryStore, digest
from sandbox.vendor_api import moment

_KEY = re.compile(r"sentry_key=([0-9a-f]{32})")
_DEFAULT_FINGERPRINT = "{{ default }}"

Json = Mapping[str, object]


def sentry_key(authorization: str, query: str) -> str:
    """The public key that a request carries, in its X-Sentry-Auth header or its query; empty if there is none."""
    found = _KEY.search(authorization) or _KEY.search(query)
    return found[1] if found else ""


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression. Raises SentryRefusal."""
    try:
        if encoding == "gzip":
            return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise SentryRefusal(400, f"failed to decode the request body: {error}") from None
    if encoding not in {"", "identity"}:
        raise SentryRefusal(415, f"unsupported content encoding {encoding}")
    return body


def ingest(store: SentryStore | None, envelope: bytes) -> str:
    """File what is in an envelope, unless `store` is None; its event's id. Raises SentryRefusal."""
    header, rest = _line(envelope)
    for kind, payload in _items(rest):
        if kind not in {"event", "transaction"}:
            continue  # sessions, client reports, check-ins: taken, and of no use here
        event = _json(payload)
        if store is None:
            continue
        if kind == "event":
            _file_event(store, event)
        else:
            _file_transaction(store, event)
    return _string(header, "event_id") or uuid4().hex


def _items(rest: bytes) -> Iterator[tuple[str, bytes]]:
    while rest.strip():
        header, rest = _line(rest)
        length = header.get("length")
        if isinstance(length, int):
            payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
            if len(payload) < length:
                raise SentryRefusal(400, "invalid envelope: an item ends early")
        else:
            payload, _, rest = rest.partition(b"\n")
        yield _string(header, "type"), payload


def _line(data: bytes) -> tuple[Json, bytes]:
    line, _, rest = data.partition(b"\n")
    return _json(line), rest


def _json(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise SentryRefusal(400, f"invalid envelope: {error}") from None
    if not isinstance(found, dict):
        raise SentryRefusal(400, "invalid envelope: not an object")
    return found


def _file_event(store: SentryStore, event: Json) -> None:
    raised = _at(event, "exception", "values")
    last = raised[-1] if isinstance(raised, list) and raised else None
    kind, value = _string(last, "type"), _string(last, "value") if last else _message(event)
    filed = ErrorEvent(
        id=_string(event, "event_id") or uuid4().hex,
        at=_time(event),
        environment=_string(event, "environment") or "production",
        release=_string(event, "release"),
        level=_string(event, "level") or "error",
        type=kind,
        value=value,
        transaction=_string(event, "transaction"),
        handled=_at(last, "mechanism", "handled") is not False,
        tags=_tags(event),
    )
    frames = _at(last, "stacktrace", "frames")
    functions = [f"{_at(frame, 'module')}.{_at(frame, 'function')}" for frame in _list(frames)]
    store.add_error(filed, _fingerprint(event, kind, value, functions))


def _fingerprint(event: Json, kind: str, value: str, functions: list[str]) -> str:
    """What groups events into issues: what the sender says, else the stack, else the words without their numbers."""
    default = digest(kind, *functions) if functions else digest(kind, re.sub(r"\d+", "#", value))
    own = _list(event.get("fingerprint"))
    return digest(*(default if part == _DEFAULT_FINGERPRINT else str(part) for part in own)) if own else default


def _message(event: Json) -> str:
    entry = event.get("logentry")
    written = _string(entry, "formatted") or _string(entry, "message") or _string(event, "message")
    return written or "<unlabeled event>"


def _file_transaction(store: SentryStore, event: Json) -> None:
    at, environment, release = _time(event), _string(event, "environment") or "production", _string(event, "release")
    name, status = _string(event, "transaction"), _string(_at(event, "contexts", "trace"), "status") or "unknown"
    store.add_span(SentrySpan(at, environment, release, name, status, tags=_tags(event)))
    for child in _list(event.get("spans")):
        child_status = _string(child, "status") or "ok"
        store.add_span(SentrySpan(at, environment, release, name, child_status, is_transaction=False))


def _time(event: Json) -> datetime:
    """When it happened; a clock that is ahead is not believed."""
    now = datetime.now(UTC)
    stamp = event.get("timestamp")
    try:
        if isinstance(stamp, int | float):
            return min(now, datetime.fromtimestamp(stamp, UTC))
        if isinstance(stamp, str):
            return min(now, moment(stamp))
    except (ValueError, OverflowError, OSError) as error:
        raise SentryRefusal(400, f"invalid envelope: timestamp: {error}") from None
    return now


def _tags(event: Json) -> tuple[tuple[str, str], ...]:
    tags = event.get("tags")
    pairs = list(tags.items()) if isinstance(tags, dict) else _list(tags)
    return tuple((str(pair[0]), str(pair[1])) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2)


def _at(holder: object, *path: str) -> object:
    """What stands at a path; None where there is nothing."""
    for key in path:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _string(holder: object, key: str) -> str:
    value = _at(holder, key)
    return value if isinstance(value, str) else ""

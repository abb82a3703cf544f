"""What the service answered, as measurements that a criterion can hold against its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from verification.deadline import now
from verification.errors import AskedOnce, ServiceError, VerificationError
from verification.redaction import redact_and_truncate, without_queries
from verification.settings.service import FieldType, ListFlow
from verification.verdict import Measurement, Value, show

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_SERVER_ERROR = 500
_SNIPPET = 120
_LONGEST_SNIPPED = 16_000  # bytes that are looked through for it
_KINDS: Mapping[FieldType, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "boolean": (bool,), "list": (list,), "object": (dict,),
}  # fmt: skip
_SLIGHT_SKEW = 5.0  # seconds: the Date header has whole ones, and the way takes some
_LARGEST_SKEW = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the service; `problem` says why there is none, or why it cannot be used.

    `note` tells what a reader should know besides, such as that the question was put a second time.
    """

    question: str  # "GET https://api.bayit.plus/health"
    code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    note: str = ""
    observed_at: datetime = field(default_factory=now)
    problem: VerificationError | None = None

    @property
    def status(self) -> Measurement:
        """The HTTP status; where it tells of an error, with the beginning of what was answered."""
        said = f"answered {self.snippet!r}" if self.code is not None and self.code >= 300 and self.body else ""
        return self.measure("status", self.code, note="; ".join(filter(None, (self.note, said))))

    @property
    def media_type(self) -> Measurement:
        """The media type, without its parameters, such as `video/mp4`."""
        return self.measure("media type", self.headers.get("content-type", "").partition(";")[0].strip().lower())

    @property
    def size(self) -> Measurement:
        """How many bytes arrived."""
        return self.measure("bytes received", len(self.body), unit="bytes")

    @property
    def is_no_good(self) -> bool:
        """Whether there is none, or it is an error of the service's, whatever a criterion makes of it."""
        return self.problem is not None or (self.code or 0) >= _SERVER_ERROR

    def spent(self) -> Answer:
        """The answer to a question that is put once, where others are put anew: it tells nothing of who answers now."""
        return replace(self, problem=AskedOnce(f"{self.question}: it is asked once in a run"))

    @property
    def snippet(self) -> str:
        """The beginning of the body, on one line."""
        return redact_and_truncate(without_queries(self.body[:_LONGEST_SNIPPED].decode("utf-8", "replace")), _SNIPPET)

    @property
    def clock_skew(self) -> timedelta:
        """What must be added to this machine's time to have that of the service's front end; 0 where both agree.

        By the Date header (https://www.rfc-editor.org/rfc/rfc9110#field.date). An answer out of a cache was made
        earlier than it is read: it does not tell.
        """
        date = self.headers.get("date", "")
        if not date or self.headers.get("age", "0") != "0":
            return timedelta()
        try:
            there = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return timedelta()
        found = (there if there.tzinfo else there.replace(tzinfo=UTC)) - self.observed_at
        return found if _SLIGHT_SKEW < abs(found.total_seconds()) < _LARGEST_SKEW else timedelta()

    def field(self, path: str) -> Measurement:
        """The value at the dotted `path` of a JSON answer, such as `services.mongodb.status`."""
        try:
            value = self.value(path)
        except VerificationError as error:
            return self.measure(path, None, problem=error)
        if value is None or isinstance(value, (list, dict)):
            return self.measure(path, None, problem=self._bad(f"{path} is {_kind(value)}, expected a plain value"))
        return self.measure(path, value)

    def must_say(self, expected: Mapping[str, Value]) -> None:
        """Hold each dotted path of `expected` to have its value."""
        __tracebackhide__ = True
        for path, value in expected.items():
            self.field(path).must_be(value)

    def value(self, path: str) -> Json:
        """Whatever stands at the dotted `path`. Raises ServiceError when there is no such thing, or no JSON."""
        found = self.json()
        walked: list[str] = []
        for key in path.split("."):
            if not isinstance(found, dict) or key not in found:
                has = f"it has: {', '.join(sorted(found))}" if isinstance(found, dict) else f"it is {_kind(found)}"
                raise self._bad(f"{'.'.join(walked) or 'the answer'} has no {key!r} ({has[:_SNIPPET]})")
            found = found[key]
            walked.append(key)
        return found

    def json(self) -> Json:
        """The parsed body. Raises the answer's problem, or ServiceError when it is not JSON."""
        if self.problem is not None:
            raise self.problem
        try:
            parsed: Json = json.loads(self.body)
        except (ValueError, RecursionError):
            kind = self.headers.get("content-type", "no content type")
            raise self._bad(f"expected JSON, got {kind} that begins {self.snippet!r}") from None
        return parsed

    def listing(self, flow: ListFlow) -> Listing:
        """The answer read as the list that `flow` describes."""
        try:
            items = self.value(flow.items)
        except VerificationError as problem:
            return Listing(self, flow, [], problem)
        if not isinstance(items, list):
            return Listing(self, flow, [], self._bad(f"{flow.items} is {_kind(items)}, expected a list"))
        return Listing(self, flow, items, None)

    def measure(
        self,
        name: str,
        value: Value | None,
        unit: str = "",
        note: str | None = None,
        problem: VerificationError | None = None,
    ) -> Measurement:
        """`value` as a measurement of this answer; a problem of the answer itself comes before `problem`."""
        return Measurement(
            name=name,
            value=value if self.problem is None else None,
            unit=unit,
            source=self.question,
            observed_at=self.observed_at,
            note=self.note if note is None else note,
            problem=self.problem or problem,
        )

    def _bad(self, what: str) -> ServiceError:
        return ServiceError(f"{self.question}: {what}")


@dataclass(frozen=True, slots=True)
class Listing:
    """An answer that is a list of things."""

    answer: Answer
    flow: ListFlow
    items: list[Json]
    problem: VerificationError | None

    @property
    def status(self) -> Measurement:
        """The HTTP status."""
        return self.answer.status

    @property
    def is_no_good(self) -> bool:
        """Whether it is no answer at all, or an error of the service's."""
        return self.answer.is_no_good

    @property
    def count(self) -> Measurement:
        """How many items were listed."""
        value = None if self.problem else len(self.items)
        return self.answer.measure(f"number of {self.flow.items}", value, problem=self.problem)

    @property
    def shape(self) -> Measurement:
        """`complete` when each item has the flow's fields, of their types; else what the first bad one lacks."""
        value = None if self.problem else self._shape()
        return self.answer.measure(f"shape of {self.flow.items}", value, problem=self.problem)

    def texts(self, name: str) -> list[str]:
        """The text values of `name` over all items that have it."""
        values = [item.get(name) for item in self.items if isinstance(item, dict)]
        return [value for value in values if isinstance(value, str) and value]

    def _shape(self) -> str:
        for number, item in enumerate(self.items, start=1):
            if not isinstance(item, dict):
                return f"item {number} is {_kind(item)}"
            for name, wanted in self.flow.fields.items():
                if name not in item:
                    return f"item {number} has no {name}"
                if type(item[name]) not in _KINDS[wanted]:
                    return f"{name} of item {number} is {_kind(item[name])}, not a {wanted}"
        return "complete"


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return f"{show(value)!r}" if isinstance(value, str) else show(value)

"""Cloud Logging's query language, as far as clients of the sandbox use it.

https://cloud.google.com/logging/docs/view/logging-query-language. OR binds closer than AND, as there; text is compared
without regard to case; a field that an entry lacks makes every comparison false. What is not understood is refused,
never ignored.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.platform.errors import InvalidArgument
from sandbox.vendor_api import moment

LONGEST = 20_000
SEVERITIES = {
    name: 100 * number
    for number, name in enumerate(
        ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    )
}
Value = str | float

_DEEPEST = 50
_TOKEN = re.compile(r'\s*(<=|>=|!=|=~|!~|[=<>:()]|"(?:[^"\\]|\\.)*"|[^\s"()=<>!:~,]+)')
_OPERATORS = {"<=", ">=", "!=", "=~", "!~", "=", "<", ">", ":"}
_NO_OPERANDS = {"", "AND", "OR", "NOT", "(", ")", *_OPERATORS}
_ORDERINGS: dict[str, Callable[[Value, Value], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_FIELDS = re.compile(
    r"logName|insertId|textPayload|trace|resource\.type|(resource\.)?labels\.[A-Za-z_]\w*|jsonPayload(\.\w+)+|"
    r"httpRequest\.(requestMethod|requestUrl|userAgent|remoteIp|protocol)"
)


def _severity(text: str) -> float:
    return SEVERITIES[text.upper()] if not text.isdigit() else float(text)


def _moment(text: str) -> float:
    return moment(text).timestamp()


def _duration(text: str) -> float:
    return float(text.removesuffix("s"))


_NUMBERS: dict[str, Callable[[str], float]] = {
    "severity": _severity,
    "timestamp": _moment,
    "receiveTimestamp": _moment,
    "httpRequest.status": float,
    "httpRequest.latency": _duration,
}


class Fields(Protocol):
    """An entry by path: times in seconds since the epoch, durations in seconds, severities as numbers, else texts."""

    def get(self, name: str, /) -> Value | None:
        """The field, or None for one that the entry lacks."""
        ...

    def values(self) -> Iterable[Value]:
        """All of them."""
        ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a field. An empty `field` is any text of the entry."""

    field: str
    operator: str
    value: Value

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        if not self.field:
            return any(str(self.value) in text.lower() for text in fields.values() if isinstance(text, str))
        found = fields.get(self.field)
        if found is None:
            return False
        if isinstance(found, str):
            return self._holds_of_text(found)
        return self.value == "*" or _ORDERINGS[self.operator](found, self.value)

    def _holds_of_text(self, found: str) -> bool:
        wanted = str(self.value)
        match self.operator:
            case "=~" | "!~":
                return (re.search(wanted, found) is not None) is (self.operator == "=~")
            case ":":
                return wanted == "*" or wanted in found.lower()
            case _:
                return _ORDERINGS[self.operator](found.lower(), wanted)


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of `part`."""

    part: Expression

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        return not self.part.holds(fields)


@dataclass(frozen=True, slots=True)
class Group:
    """The conjunction of `parts` (`every`), or their disjunction."""

    parts: tuple[Expression, ...]
    every: bool = True

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        results = (part.holds(fields) for part in self.parts)
        return all(results) if self.every else any(results)


Expression = Comparison | Not | Group


def earliest(expression: Expression) -> float:
    """A time before which nothing that the expression is true of happened."""
    if isinstance(expression, Group) and expression.every:
        return max((earliest(part) for part in expression.parts), default=0.0)
    if isinstance(expression, Comparison) and (expression.field, expression.operator[0]) == ("timestamp", ">"):
        return float(expression.value)
    return 0.0


def parse_filter(text: str) -> Expression:
    """The expression of a filter; an empty one is true of everything. Raises InvalidArgument, as Logging does."""
    if len(text) > LONGEST:
        raise InvalidArgument(f"The filter is longer than {LONGEST} characters.", "filter")
    if not text.strip():
        return Group(())
    try:
        return _FilterParser(text).whole()
    except (ValueError, KeyError, re.error) as error:
        raise InvalidArgument(f"Unparseable filter: {error}; filter = {text[:200]!r}", "filter") from None


class _FilterParser:
    """Reads a filter by recursive descent. Raises ValueError or KeyError for what it does not understand.

    A token is a piece of the text as it stands there, with the quotes around it; after the last one comes "".
    """

    def __init__(self, text: str) -> None:
        self._tokens = deque([*_tokens(text), ""])
        self._depth = 0

    def whole(self) -> Expression:
        """The expression that the whole text is."""
        found = self._conjunction()
        self._must_take("")
        return found

    def _took(self, *tokens: str) -> bool:
        """Whether the next token is one of these; it is taken then."""
        return self._tokens[0] in tokens and bool([self._tokens.popleft()])

    def _must_take(self, token: str) -> None:
        if not self._took(token):
            raise ValueError(f"unexpected {self._tokens[0]!r} where {token or 'the end'!r} is due")

    def _operand(self) -> str:
        """The next token, which must be a word or a quoted text."""
        token = self._tokens.popleft()
        if token in _NO_OPERANDS:
            raise ValueError(f"unexpected {token!r} where a word or a text is due")
        return token

    def _conjunction(self) -> Expression:
        parts = [self._disjunction()]
        while self._tokens[0] not in ("", ")"):
            self._took("AND")
            parts.append(self._disjunction())
        return _group(parts)

    def _disjunction(self) -> Expression:
        parts = [self._term()]
        while self._took("OR"):
            parts.append(self._term())
        return _group(parts, every=False)

    def _term(self) -> Expression:
        if self._took("NOT"):
            return Not(self._nested(self._term))
        if self._took("("):
            found = self._nested(self._conjunction)
            self._must_take(")")
            return found
        field = self._operand()
        if field.startswith('"'):
            return Comparison("", ":", _unquoted(field).lower())
        if field == "log_id":
            self._must_take("(")
            log = _unquoted(self._operand())
            self._must_take(")")
            return Comparison("log_id", "=", log.lower())
        sign = self._tokens.popleft()
        if sign not in _OPERATORS:
            raise ValueError(f"unexpected {sign!r} where an operator is due")
        return self._values(field, sign)

    def _values(self, field: str, sign: str) -> Expression:
        """The comparison of a field with one value, or with several: `field=("a" OR "b")`."""
        if not self._took("("):
            return _comparison(field, sign, self._operand())
        parts, joints = [_comparison(field, sign, self._operand())], set()
        while self._tokens[0] in ("AND", "OR"):
            joints.add(self._tokens.popleft())
            parts.append(_comparison(field, sign, self._operand()))
        self._must_take(")")
        if len(joints) > 1:
            raise ValueError("AND and OR are mixed within one list of values")
        return _group(parts, every=joints != {"OR"})

    def _nested(self, read: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
        found = read()
        self._depth -= 1
        return found


def _group(parts: Sequence[Expression], *, every: bool = True) -> Expression:
    return parts[0] if len(parts) == 1 else Group(tuple(parts), every)


def _tokens(text: str) -> Iterator[str]:
    place, text = 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise ValueError(f"unexpected {text[place : place + 20]!r}")
        yield match[1]
        place = match.end()


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token.startswith('"') else token


def _comparison(field: str, sign: str, token: str) -> Comparison:
    value, present = _unquoted(token), (sign, token) == (":", "*")
    if field in _NUMBERS:
        if not present and sign not in _ORDERINGS:
            raise ValueError(f"{field} cannot be compared by {sign}")
        return Comparison(field, sign, value if present else _NUMBERS[field](value))
    if not _TEXT_FIELDS.fullmatch(field):
        raise ValueError(f"no such field: {field}")
    if sign in {"=~", "!~"}:
        re.compile(value)
        return Comparison(field, sign, value)
    if sign not in {"=", "!=", ":"}:
        raise ValueError(f"{field} cannot be compared by {sign}")
    return Comparison(field, sign, value.lower())

"""Cloud Logging's query language, as far as clients of the sandbox use it.

https://cloud.google.com/logging/docs/view/logging-query-language. OR binds closer than AND, as there; text is compared
without regard to case; a field that an entry lacks makes every comparison false. What is not understood is refused,
never ignored.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.platform.errors import InvalidArgument

LONGEST = 20_000
SEVERITIES = {
    name: 100 * number
    for number, name in enumerate(
        ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    )
}
Value = str | float
Fields = Mapping[str, Value]  # by path; times in seconds since the epoch, durations in seconds, severities as numbers

_DEEPEST = 50
_TOKEN = re.compile(
    r'\s*(?:(?P<operator><=|>=|!=|=~|!~|[=<>:])|(?P<bracket>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"()=<>!:~,]+))'
)
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
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _duration(text: str) -> float:
    return float(text.removesuffix("s"))


_NUMBERS: dict[str, Callable[[str], float]] = {
    "severity": _severity,
    "timestamp": _moment,
    "receiveTimestamp": _moment,
    "httpRequest.status": float,
    "httpRequest.latency": _duration,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a field. An empty `field` is any text of the entry."""

    field: str
    operator: str
    value: Value

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        if not self.field:
            return any(str(self.value) in one.lower() for one in fields.values() if isinstance(one, str))
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
    """What is true where `part` is not."""

    part: Expression

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        return not self.part.holds(fields)


@dataclass(frozen=True, slots=True)
class All:
    """What is true where all `parts` are."""

    parts: tuple[Expression, ...]

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        return all(part.holds(fields) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Some:
    """What is true where one of `parts` is."""

    parts: tuple[Expression, ...]

    def holds(self, fields: Fields) -> bool:
        """Whether it is true of an entry."""
        return any(part.holds(fields) for part in self.parts)


Expression = Comparison | Not | All | Some


def earliest(expression: Expression) -> float:
    """A time before which nothing that the expression is true of happened."""
    if isinstance(expression, All):
        return max((earliest(part) for part in expression.parts), default=0.0)
    if isinstance(expression, Comparison) and (expression.field, expression.operator[0]) == ("timestamp", ">"):
        return float(expression.value)
    return 0.0


def parse_filter(text: str) -> Expression:
    """The expression of a filter; an empty one is true of everything. Raises InvalidArgument, as Logging does."""
    if len(text) > LONGEST:
        raise InvalidArgument(f"The filter is longer than {LONGEST} characters.", "filter")
    if not text.strip():
        return All(())
    try:
        return _Parser(text).whole()
    except (ValueError, KeyError, re.error) as error:
        raise InvalidArgument(f"Unparseable filter: {error}; filter = {text[:200]!r}", "filter") from None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    def is_(self, *words: str) -> bool:
        """Whether it is one of these words or signs, unquoted."""
        return self.kind != "quoted" and self.text in words


_END = _Token("end", "")


class _Parser:
    """Reads a filter by recursive descent. Raises ValueError or KeyError for what it does not understand."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0

    def whole(self) -> Expression:
        """The expression that the whole text is."""
        found = self._all()
        if self._next is not _END:
            raise ValueError(f"unexpected {self._next.text!r}")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place] if self._place < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _all(self) -> Expression:
        parts = [self._some()]
        while self._next is not _END and not self._next.is_(")"):
            if self._next.is_("AND"):
                self._take()
            parts.append(self._some())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _some(self) -> Expression:
        parts = [self._one()]
        while self._next.is_("OR"):
            self._take()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _one(self) -> Expression:
        token = self._take()
        if token.is_("NOT"):
            return Not(self._nested(self._one))
        if token.is_("("):
            found = self._nested(self._all)
            self._must_be(")")
            return found
        if token.kind == "quoted":
            return Comparison("", ":", token.text.lower())
        if token.kind != "word" or token.is_("AND", "OR"):
            raise ValueError(f"unexpected {token.text!r}")
        if token.is_("log_id"):
            return self._log_id()
        sign = self._take()
        if sign.kind != "operator":
            raise ValueError(f"{token.text!r} is not compared with anything; text to search for belongs in quotes")
        return self._values(token.text, sign.text)

    def _log_id(self) -> Expression:
        self._must_be("(")
        token = self._take()
        if token.kind != "quoted":
            raise ValueError("log_id() takes one text in quotes")
        self._must_be(")")
        return Comparison("log_id", "=", token.text.lower())

    def _values(self, field: str, sign: str) -> Expression:
        """The comparison of a field with one value, or with several: `field=("a" OR "b")`."""
        token = self._take()
        if not token.is_("("):
            return _comparison(field, sign, token)
        parts, joints = [_comparison(field, sign, self._take())], set()
        while self._next.is_("AND", "OR"):
            joints.add(self._take().text)
            parts.append(_comparison(field, sign, self._take()))
        self._must_be(")")
        if len(joints) > 1:
            raise ValueError("AND and OR are mixed within one list of values")
        return Some(tuple(parts)) if joints == {"OR"} else All(tuple(parts))

    def _nested(self, read: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
        found = read()
        self._depth -= 1
        return found

    def _must_be(self, sign: str) -> None:
        if not self._take().is_(sign):
            raise ValueError(f"{sign!r} is missing")


def _tokens(text: str) -> list[_Token]:
    found, place, text = [], 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match or match.lastgroup is None:
            raise ValueError(f"unexpected {text[place : place + 20]!r}")
        content = match[match.lastgroup]
        if match.lastgroup == "quoted":
            content = re.sub(r"\\(.)", r"\1", content, flags=re.DOTALL)
        found.append(_Token(match.lastgroup, content))
        place = match.end()
    return found


def _comparison(field: str, sign: str, token: _Token) -> Comparison:
    if token.kind not in {"quoted", "word"} or token.is_("AND", "OR", "NOT"):
        raise ValueError(f"{field} is compared with nothing")
    present = sign == ":" and token.is_("*")
    if field in _NUMBERS:
        if not present and sign not in _ORDERINGS:
            raise ValueError(f"{field} cannot be compared by {sign}")
        return Comparison(field, sign, token.text if present else _NUMBERS[field](token.text))
    if not _TEXT_FIELDS.fullmatch(field):
        raise ValueError(f"no such field: {field}")
    if sign in {"=~", "!~"}:
        re.compile(token.text)
        return Comparison(field, sign, token.text)
    if sign not in {"=", "!=", ":"}:
        raise ValueError(f"{field} cannot be compared by {sign}")
    return Comparison(field, sign, token.text.lower())

"""Cloud Monitoring's filters, as far as the sandbox understands them: comparisons joined by AND.

https://cloud.google.com/monitoring/api/v3/filters. What it does not understand is refused, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.platform.errors import InvalidArgument

_TERM = re.compile(
    r"""\s*(?P<key>[a-z_.]+)\s*(?P<operator>!=|=)\s*
    (?:(?P<function>starts_with|ends_with|has_substring|one_of)\s*\((?P<arguments>[^()]*)\)|"(?P<quoted>[^"]*)"|(?P<bare>[\w./-]++))
    \s*((AND\s+)?(?=[a-z])|$)""",
    re.VERBOSE,
)
_TEXT = re.compile(r'\s*"([^"]*)"\s*')
_KEYS = re.compile(r"metric\.type|resource\.type|project|(metric|resource)\.labels?\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class LabelTerm:
    """One comparison."""

    key: str
    function: str
    values: tuple[str, ...]
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether it is true of `labels`, such as `resource.labels.service_name`."""
        value = labels.get(self.key, "")
        match self.function:
            case "starts_with":
                found = value.startswith(self.values)
            case "ends_with":
                found = value.endswith(self.values)
            case "has_substring":
                found = any(wanted in value for wanted in self.values)
            case _:
                found = value in self.values
        return found is not self.negated


def parse_filter(text: str) -> list[LabelTerm]:
    """The comparisons of a filter. Raises InvalidArgument, as Monitoring does, for what it cannot read."""
    terms: list[LabelTerm] = []
    place = 0
    while place < len(text) or not terms:
        found = _TERM.match(text, place)
        term = _term(found) if found and _KEYS.fullmatch(found["key"]) else None
        if found is None or term is None:
            raise InvalidArgument(f"Field filter had an invalid value: Could not parse filter {text!r}.", "filter")
        terms.append(term)
        place = found.end()
    return terms


def _term(found: re.Match[str]) -> LabelTerm | None:
    """A comparison; None where its function takes other arguments."""
    key = found["key"].replace(".label.", ".labels.")
    negated = found["operator"] == "!="
    if found["function"] is None:
        value = found["quoted"] if found["quoted"] is not None else found["bare"]
        return LabelTerm(key, "", (value,), negated)
    arguments = [_TEXT.fullmatch(argument) for argument in found["arguments"].split(",")]
    if not all(arguments) or (len(arguments) > 1 and found["function"] != "one_of"):
        return None
    return LabelTerm(key, found["function"], tuple(argument[1] for argument in arguments if argument), negated)

"""Who gave an answer, as Cloud Run's request log has it: a revision, or Cloud Run itself.

The log is surer than headers and pages, and late by some seconds. An answer's line is found by its trace, which
stands in the headers of all that Cloud Run answers (https://cloud.google.com/run/docs/trace); a line that has a text
tells that Cloud Run answered itself, and why (https://cloud.google.com/run/docs/troubleshooting).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest, quoted
from verification.clients.service.answer import Answer
from verification.errors import NotPermitted, ServiceError

_MARGIN = timedelta(minutes=1)  # as far as clocks may differ
_TRACE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NO_INSTANCE = "no available instance"
_NOT_LET_IN = frozenset({401, 403})
_TOO_MANY = 429


def trace_of(answer: Answer) -> str:
    """The trace by which the log knows the answer; empty where it has none: it may not be Cloud Run's at all."""
    found = _TRACE.match(answer.headers.get("x-cloud-trace-context", ""))
    return found[0] if found else ""


def logged(answer: Answer, logging: CloudLogging) -> LoggedRequest | None:
    """The answer's line in the log, if it is there already. Raises ObserverError, NotPermitted."""
    if not (trace := trace_of(answer)):
        return None
    since, until = answer.observed_at - timedelta(seconds=answer.seconds) - _MARGIN, answer.observed_at + _MARGIN
    lines = logging.some_requests(since, until, 1, f"trace:{quoted(trace)}", newest=True)
    return line_of(answer, lines.requests)


def line_of(answer: Answer, lines: Iterable[LoggedRequest]) -> LoggedRequest | None:
    """The answer's among `lines` of the log, for who has read them anyway."""
    trace = trace_of(answer)
    return next((line for line in lines if trace and line.trace == trace and line.status == answer.code), None)


def settled_by_log(answer: Answer, line: LoggedRequest | None) -> Answer:
    """The answer, blamed as its line in the log has it; as it is where there is no line, or that leaves it open.

    For want of an instance: the release's failure, whatever the page says. Not let in by Cloud Run: nobody's. A status
    of the revision's own is judged as such, except for 429: that says how often this machine asks.
    """
    if line is None:
        return answer
    if is_for_want_of_instances(line):
        words = f"{answer.question}: Cloud Run refused it with {line.status}: it had no available instance"
        return replace(answer, problem=ServiceError(words))
    if line.said:
        if line.status not in _NOT_LET_IN:
            return answer
        words = f"{answer.question}: answered {line.status} by Cloud Run, no revision: {line.said}"
        return replace(answer, problem=NotPermitted(words, "Look at who may invoke the service."))
    return answer if line.status == _TOO_MANY else replace(answer, problem=None)


def is_for_want_of_instances(line: LoggedRequest) -> bool:
    """Whether Cloud Run refused this request, a user's or ours, because no instance of the revision was there."""
    return _NO_INSTANCE in line.said

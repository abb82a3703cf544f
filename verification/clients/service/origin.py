"""Who refused a question for want of an instance, as Cloud Run's request log has it: Cloud Run, or a revision.

Cloud Run's page for it says no more than "Rate exceeded.", which a service's own limit may say, too. The log is surer,
and late by some seconds. An answer's line is found by its trace, which stands in the headers of all that Cloud Run
answers (https://cloud.google.com/run/docs/trace).
"""

from __future__ import annotations

from datetime import timedelta

from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest, quoted
from verification.deadline import Deadline, poll
from verification.errors import NoInstance, ObserverError

_MARGIN = timedelta(minutes=1)  # as far as clocks may differ, and an answer may take
_EVERY = 0.5  # seconds


def refuted_by_log(refusal: NoInstance, logging: CloudLogging, within: float) -> ObserverError | None:
    """What `refusal` comes to where the log shows that a revision gave it; None where it stands.

    It stands as well where its line is not there `within` seconds. Raises ObserverError, NotPermitted.
    """
    if not refusal.trace:
        return None
    line = poll(lambda: _line_of(refusal, logging), Deadline.after(within), _EVERY)
    if line is None or line.for_want_of_an_instance or not line.revision:
        return None
    return ObserverError(
        f"{refusal.cause.partition(':')[0]}: answered 429 by {line.revision} itself, as the request log has it",
        "Exempt the suite's user agent from the limit, or ask less often.",
    )


def _line_of(refusal: NoInstance, logging: CloudLogging) -> LoggedRequest | None:
    since, until = refusal.at - _MARGIN, refusal.at + _MARGIN
    lines = logging.some_requests(since, until, 1, f"trace:{quoted(refusal.trace)}", newest=True).requests
    return next((line for line in lines if line.trace == refusal.trace), None)

"""The probe of how users fared while the traffic went over to the new revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from verification.deadline import Deadline, now, poll
from verification.errors import ObserverError, ServiceError, Unconfirmed
from verification.judge.confirmation import Answers
from verification.probe import probe
from verification.settings.model import Settings
from verification.verdict import Measurement, record
from verification.watch.sources.request_log import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest
    from verification.clients.google.cloud_run import CloudRun
    from verification.probes.revision import Traffic
    from verification.records.rollback_plan import NamedRevisions

_SOURCE = "Cloud Logging, request log"
_MOST = 5_000  # requests: of more, the first ones are looked at
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Transition:
    """Users' requests since the `revision` was created, for `seconds`; it answered `by_it` of them, others the rest."""

    revision: str
    errors: int
    total: int
    by_it: int
    seconds: float

    def must_be_smooth(self, limit: float) -> None:
        """Hold the share of failed requests to be no more than `limit`.

        Raises ServiceError where it certainly is more, Unconfirmed where that is likely. A few bad ones say nothing.
        """
        __tracebackhide__ = True
        share = round(self.errors / self.total * 100, 3) if self.by_it else None
        problem = (
            None
            if self.by_it
            else ObserverError(f"{self.revision} had answered no user yet", "Watch on: `-m monitor`.")
        )
        measured = Measurement(
            "failed requests",
            share,
            unit="%",
            source=_SOURCE,
            samples=self.total,
            window_s=self.seconds,
            limit=limit * 100,
            rule="<",
            note=f"{self.by_it} were answered by {self.revision}",
            problem=problem,
        )
        record(measured)
        if problem is not None:
            raise problem
        answers = Answers(self.errors, self.total, limit)
        words = f"{answers.text} while the traffic went over, limit {limit * 100:g} % ({_SOURCE})"
        if answers.certain:
            raise ServiceError(words)
        if self.errors and answers.lower_bound > limit:
            raise Unconfirmed(words, "Likely, and not certain: watch on, `-m monitor`.")


@probe
def transition(
    settings: Settings, cloud_logging: CloudLogging, cloud_run: CloudRun, traffic: Traffic, named: NamedRevisions
) -> Transition:
    """Count users' requests from the revision's creation on, for `deploy.startup`. Raises ObserverError."""
    revision, deploy = cloud_run.revision(named.revision or traffic.state.latest_created), settings.deploy
    until = revision.created + timedelta(seconds=deploy.startup)

    def seen() -> Transition | None:
        """None where the revision has answered no user, as far as the log has got."""
        end = min(now(), until)
        found = cloud_logging.some_requests(revision.created, end, _MOST)
        last = end if found.complete else found.requests[-1].at
        known = counted(found.requests, revision.name, (last - revision.created).total_seconds())
        return known if known.by_it else None

    late = (until - now()).total_seconds() + deploy.logged_within  # until then a line may still come
    deadline = Deadline.after(max(min(late, deploy.logged_within), 0))
    return poll(seen, deadline, _PAUSE) or Transition(revision.name, 0, 0, 0, deploy.startup)


def counted(requests: Sequence[LoggedRequest], revision: str, seconds: float) -> Transition:
    """What those requests come to, of which the suite's own are left out."""
    users = [request for request in requests if not request.user_agent.startswith(OWN)]
    errors = sum(request.status >= 500 or request.for_want_of_an_instance for request in users)
    by_it = sum(request.revision == revision for request in users)
    return Transition(revision, errors, len(users), by_it, round(seconds, 1))

"""Cloud Run's Admin API v2: what serves, which revisions there are, and moving all traffic to one of them.

Reads are repeated on passing faults; a write never is. Every call ends within the client's timeout, the search for
credentials included. All problems are `ObserverError`s, with a remedy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from verification.clients.google.cloud_run_state import (
    RevisionState,
    ServiceState,
    Serving,
    TrafficLine,
    revision_state,
    service_state,
)
from verification.clients.google.errors import Absent, Changed, GoogleSystem, Unclear, explained, is_passing
from verification.clients.lazy_imports import Lazy, load
from verification.deadline import Deadline, bounded, poll
from verification.errors import NotPermitted, ObserverError
from verification.settings.service import CloudRunSettings
from verification.settings.tables import is_local

if TYPE_CHECKING:
    from google.api_core.operation import Operation
    from google.cloud import run_v2

__all__ = ["Absent", "Changed", "CloudRun", "RevisionState", "ServiceState", "Serving", "TrafficLine", "Unclear"]

T = TypeVar("T")
M = TypeVar("M", "run_v2.Service", "run_v2.Revision")

# It logs each retry, without saying of what; where nobody has set logging up, that would go to the terminal.
logging.getLogger("stamina").addHandler(logging.NullHandler())

_SYSTEM = GoogleSystem(
    "Cloud Run",
    "roles/run.viewer to look; to roll back, roles/run.developer and (on the service's own account) "
    "roles/iam.serviceAccountUser",
)
TAG_AND_SERVICE = 46  # characters that a tag and its service's name may have together
_READ_ATTEMPTS = 3
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 1.0
_UPDATE = "run.services.update"


class CloudRun:
    """Client of Cloud Run's Admin API for one service; `timeout`: seconds for each call. Thread-safe."""

    def __init__(self, settings: CloudRunSettings, timeout: float = 10) -> None:
        self.settings = settings
        self.timeout = timeout
        # Importing them takes half a second, finding credentials up to many.
        self._clients = Lazy(lambda: _make_clients(settings.endpoint))
        self._location = f"projects/{settings.project}/locations/{settings.region}"
        self._name = f"{self._location}/services/{settings.service}"

    def limited_to(self, seconds: float) -> CloudRun:
        """The same client, with `seconds` as its timeout if that is less."""
        limited = CloudRun(self.settings, min(seconds, self.timeout))
        limited._clients = self._clients
        return limited

    def service(self) -> ServiceState:
        """The service as it is now. Raises ObserverError."""
        return self._read(
            lambda timeout: service_state(
                _about(self._name, self._services.get_service(name=self._name, retry=None, timeout=timeout))
            ),
            f"service {self.settings.service}",
        )

    def settled_service(self, within: float) -> ServiceState:
        """The service once no change is under way any more, waiting up to `within` seconds.

        The last change may have failed: see `ServiceState.settled`. Raises ObserverError.
        """

        def at_rest() -> ServiceState | None:
            return None if (state := self.service()).moving else state

        state = poll(at_rest, Deadline.after(within), _FIRST_PAUSE, longest=_LONGEST_PAUSE)
        if state is None:
            raise ObserverError(
                f"Cloud Run service {self.settings.service} is still being changed after {within:g} s",
                "Wait until the deployment under way has ended, then ask again.",
            )
        return state

    def revision(self, name: str) -> RevisionState:
        """The revision of this short name. Raises Absent, ObserverError."""
        full = f"{self._name}/revisions/{name}"
        return self._read(
            lambda timeout: revision_state(
                _about(full, self._revisions.get_revision(name=full, retry=None, timeout=timeout))
            ),
            f"revision {name}",
        )

    def revisions(self, limit: int = 50) -> list[RevisionState]:
        """The newest `limit` revisions, newest first. Being listed first means neither serving nor being ready."""

        def listed(timeout: float) -> list[RevisionState]:
            request = {"parent": self._name, "page_size": limit}
            pager = self._revisions.list_revisions(request=request, retry=None, timeout=timeout)
            return [revision_state(message) for message in islice(pager, limit)]

        found = self._read(listed, f"revisions of {self.settings.service}")
        return sorted(found, key=lambda revision: revision.created, reverse=True)

    def may_update(self) -> bool:
        """Whether these credentials may change the service's traffic (`run.services.update`). Raises ObserverError."""
        request = {"resource": self._name, "permissions": [_UPDATE]}
        return self._read(
            lambda timeout: (
                _UPDATE in self._services.test_iam_permissions(request=request, retry=None, timeout=timeout).permissions
            ),
            f"permissions on {self.settings.service}",
        )

    def send_all_traffic_to(
        self, revision: str, *, etag: str, keep_tags: Sequence[TrafficLine] = (), within: float
    ) -> None:
        """Give `revision` every request, by one write, and wait for it up to `within` seconds. Tags stay, at 0 %.

        Returns when the operation succeeded: read the service afterwards, what flows is the only proof. Raises
        Changed (the service is not the one of `etag` any more: nothing was written), Unclear (it may have been
        written: read the service before repeating anything), NotPermitted, ObserverError (refused).
        """
        lines = (TrafficLine(revision, 100), *keep_tags)
        self._write_traffic(lambda: _service_of(self._name, etag, lines), within)

    def set_tag(self, tag: str, revision: str, within: float) -> str:
        """The address at which `revision` alone answers from now on, under `tag`; all other traffic stays as it is.

        Twice is the same as once. Raises as `send_all_traffic_to`, and where the tag names another revision, or is too
        long: its address could not be told.
        """
        deadline, together = Deadline.after(within), len(tag) + len(self.settings.service)
        if together > TAG_AND_SERVICE:
            raise ObserverError(
                f"the tag {tag} and the service's name have {together} characters together, and Cloud Run allows "
                f"{TAG_AND_SERVICE}",
            )
        state = self.settled_service(within)
        there = state.tag(tag)
        if there is not None and there.revision != revision:
            raise ObserverError(f"the tag {tag} is there already: it names {there.revision or 'the latest revision'}")
        if there is None:
            lines = (*state.lines, TrafficLine(revision, 0, tag))
            self._write_traffic(lambda: _service_of(self._name, state.etag, lines), deadline.remaining)
        return self._address_of(tag, deadline.remaining)

    def _address_of(self, tag: str, within: float) -> str:
        """The address of a tag that is set. Raises Unclear: it stays, whatever cannot be told of it."""
        try:
            serving = self.settled_service(within).serving
        except ObserverError as problem:
            raise Unclear(f"the tag {tag} is set, and what became of it is not known: {problem.cause}") from problem
        address = next((line.address for line in serving if line.tag == tag), "")
        if not address:
            raise Unclear(f"Cloud Run gives no address for the tag {tag}", "Its default address may be off.")
        return address

    def remove_tag(self, tag: str, within: float) -> None:
        """Take `tag` away, if it is there; all traffic stays as it is. Raises as `send_all_traffic_to`."""
        deadline = Deadline.after(within)
        state = self.settled_service(within)
        if state.tag(tag) is None:
            return
        # A revision may get requests under a tag too: then only its name goes.
        lines = tuple(
            line if line.tag != tag else replace(line, tag="")
            for line in state.lines
            if line.tag != tag or line.percent
        )
        self._write_traffic(lambda: _service_of(self._name, state.etag, lines), deadline.remaining)

    def _write_traffic(self, wanted: Callable[[], run_v2.Service], within: float) -> None:
        deadline, what = Deadline.after(within), f"the traffic of {self.settings.service}"
        try:
            self._find_credentials()
            request = {"service": wanted(), "update_mask": {"paths": ["traffic"]}}
            update, limit = self._services.update_service, self.timeout
            operation = bounded(lambda: update(request=request, retry=None, timeout=limit), min(limit, within))
        except Exception as error:
            raise explained(error, _SYSTEM, self._placed(what), writing=True) from error
        try:
            _wait(operation, deadline.remaining)
        except Exception as error:
            if operation.operation.done:
                raise Unclear(
                    f"Cloud Run could not move {what}: {operation.operation.error.message}",
                    "Look at the service in the console.",
                ) from error
            raise Unclear(f"what became of moving {what} is unknown: {error}", "Read the service.") from error

    @property
    def _services(self) -> run_v2.ServicesClient:
        return self._clients.value[0]

    @property
    def _revisions(self) -> run_v2.RevisionsClient:
        return self._clients.value[1]

    def _read(self, call: Callable[[float], T], what: str) -> T:
        deadline = Deadline.after(self.timeout)
        try:
            self._find_credentials()
            return bounded(lambda: _repeated(call, deadline), deadline.remaining)
        except Exception as error:
            raise explained(error, _SYSTEM, self._placed(what)) from error

    def _placed(self, what: str) -> str:
        return f"{what} (project {self.settings.project}, region {self.settings.region})"

    def _find_credentials(self) -> None:
        """Make the clients. Raises NotPermitted, and what the search for credentials raises."""
        try:
            bounded(lambda: self._clients.value, self.timeout)
        except TimeoutError:
            raise NotPermitted(
                f"no Google credentials were found within {self.timeout:g} s",
                "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
            ) from None


def _repeated(call: Callable[[float], T], deadline: Deadline) -> T:
    import stamina

    again = stamina.RetryingCaller(_READ_ATTEMPTS, deadline.remaining, _FIRST_PAUSE, _LONGEST_PAUSE, _FIRST_PAUSE)
    return again(is_passing, lambda: call(max(deadline.remaining, _FIRST_PAUSE)))


def _make_clients(endpoint: str | None) -> tuple[run_v2.ServicesClient, run_v2.RevisionsClient]:
    load("google.cloud.run_v2")
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import run_v2

    here = endpoint is not None and is_local(urlsplit(endpoint).hostname or "")
    if endpoint and not here and not endpoint.startswith("https://"):
        raise ObserverError(
            f"cloud_run.endpoint {endpoint} would send credentials in the clear",
            "Write an address that starts with https://.",
        )
    credentials = AnonymousCredentials() if here else None  # type: ignore[no-untyped-call]
    options = {"api_endpoint": endpoint} if endpoint else None
    return (
        run_v2.ServicesClient(transport="rest", client_options=options, credentials=credentials),
        run_v2.RevisionsClient(transport="rest", client_options=options, credentials=credentials),
    )


def _about(name: str, message: M) -> M:
    """`message`, which must be about `name`: an empty answer would read as a service that serves nothing."""
    short = message.name.rpartition("/")[2]
    if short != name.rpartition("/")[2]:
        raise ObserverError(f"Cloud Run gave no usable answer: asked about {name}, it told about {short or 'nothing'}")
    return message


def _service_of(name: str, etag: str, lines: Sequence[TrafficLine]) -> run_v2.Service:
    """The message that asks for these lines of traffic, and for nothing else."""
    from google.cloud import run_v2

    kinds = run_v2.TrafficTargetAllocationType
    pinned, latest = kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
    targets = [
        run_v2.TrafficTarget(
            type_=pinned if line.revision else latest, revision=line.revision, percent=line.percent, tag=line.tag
        )
        for line in lines
    ]
    return run_v2.Service(name=name, etag=etag, traffic=targets)


def _wait(operation: Operation, seconds: float) -> None:
    from google.api_core.future.polling import DEFAULT_POLLING

    # The default asks after 1 s, then ever more rarely: too slow for the minute in which everybody waits.
    polling = DEFAULT_POLLING.with_delay(initial=_FIRST_PAUSE, maximum=_LONGEST_PAUSE, multiplier=1.5)
    bounded(lambda: operation.result(timeout=max(seconds, _FIRST_PAUSE), polling=polling), seconds + 1)  # type: ignore[no-untyped-call]

"""What can go wrong with Google's libraries, in the suite's own exceptions, and reads that end in time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from verification.clients.lazy_imports import load
from verification.deadline import bounded
from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.redaction import redact_and_truncate
from verification.settings.tables import is_local

T = TypeVar("T")

_LONGEST = 300
_QUESTION = re.compile(r"^(?:GET|POST|PATCH) \S+: ")  # the library repeats the long address before each message
_UNDECIDED = {408, 429, 499}  # codes of the 4xx family that say nothing about the request itself


class Absent(ObserverError):
    """Google answered that there is no such thing, such as a revision."""


class Changed(ObserverError):
    """Somebody else has changed it since it was read: nothing was written."""


class Unclear(ObserverError):
    """A write may or may not have taken effect: read before repeating anything."""


@dataclass(frozen=True, slots=True)
class GoogleSystem:
    """One of Google's APIs: its name, and the roles that permit what we do there."""

    name: str
    role: str


def ask(question: Callable[[], T], seconds: float, system: GoogleSystem, what: str) -> T:
    """The answer to a `question` about `what`, within `seconds`.

    Raises ObserverError, NotPermitted; SettingsError as `question` does.
    """
    try:
        return bounded(question, seconds)
    except SettingsError:
        raise
    except TimeoutError:
        raise ObserverError(f"{system.name} gave no answer about {what} within {seconds:g} s", "Try again.") from None
    except Exception as error:
        raise explained(error, system, what) from error


def explained(error: Exception, system: GoogleSystem, what: str, *, writing: bool = False) -> ObserverError:
    """`error`, met when asking for `what` (or `writing` it), as an ObserverError."""
    load("google.api_core.exceptions", "google.auth.exceptions")
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, ObserverError):
        return error
    message = getattr(error, "message", "") or str(error) or type(error).__name__
    said = redact_and_truncate(_QUESTION.sub("", message), _LONGEST)
    if isinstance(error, (api.Unauthorized, api.Forbidden)):
        return NotPermitted(
            f"{system.name} does not let these credentials ask for or change {what}: {said}",
            f"Grant them {system.role}.",
        )
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return NotPermitted(
            f"there are no usable Google credentials to ask {system.name} for {what}: {said}",
            "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
        )
    if isinstance(error, api.NotFound):
        return Absent(
            f"{system.name} has no {what}: {said}",
            "Look at service, region and project in deployment.toml, and at the name.",
        )
    if writing and isinstance(error, api.Conflict):
        return Changed(f"somebody else changed {what} at the same moment", "Read the service and decide anew.")
    if isinstance(error, api.ClientError) and error.code not in _UNDECIDED:
        return ObserverError(f"{system.name} refused {what}: {said}", "Look at the names in deployment.toml.")
    kind: type[ObserverError] = Unclear if writing else ObserverError
    return kind(
        f"{system.name} gave no usable answer about {what}: {said}",
        "Look at https://status.cloud.google.com and at the network here, then try again.",
    )


def is_passing(error: Exception) -> bool:
    """Whether a read that failed with `error` may well succeed a moment later."""
    load("requests", "google.api_core.exceptions")
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    server = api.TooManyRequests, api.InternalServerError, api.BadGateway, api.ServiceUnavailable, api.GatewayTimeout
    return isinstance(error, (*server, requests.ConnectionError, requests.Timeout, auth.TransportError))


def must_be_local(host: str, setting: str) -> None:
    """Raise SettingsError for an emulator that is not on this machine; `setting` names where it was given."""
    if not is_local(host):
        raise SettingsError(f"{setting} is not on this machine", "Leave it out: it is for tests.")

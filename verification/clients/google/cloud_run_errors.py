"""What can go wrong with Cloud Run, in the suite's own exceptions, with the role or the command that mends it."""

from __future__ import annotations

import re

from verification.clients.lazy_imports import load
from verification.errors import NotPermitted, ObserverError, VerificationError
from verification.settings.model import CloudRun

_LONGEST = 300
_QUESTION = re.compile(r"^(?:GET|POST|PATCH) \S+: ")  # the library repeats the long address before each message
_UNDECIDED = {408, 429, 499}  # codes of the 4xx family that say nothing about the request itself
_PERMITTED_BY = (
    "roles/run.viewer to look; to roll back, roles/run.developer and (on the service's own account) "
    "roles/iam.serviceAccountUser"
)


class Absent(ObserverError):
    """Cloud Run answered that there is no such service or revision."""


class Changed(ObserverError):
    """Somebody else has changed the service since it was read: nothing was written."""


class Unclear(ObserverError):
    """A write may or may not have taken effect: read the service before repeating anything."""


def is_passing(error: Exception) -> bool:
    """Whether a read that failed with `error` may well succeed a moment later."""
    load("requests", "google.api_core.exceptions")
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    passing = (
        api.TooManyRequests,
        api.InternalServerError,
        api.BadGateway,
        api.ServiceUnavailable,
        api.GatewayTimeout,
        requests.ConnectionError,
        requests.Timeout,
        auth.TransportError,
    )
    return isinstance(error, passing)


def explained(error: Exception, what: str, settings: CloudRun, *, writing: bool = False) -> ObserverError:
    """`error`, met when asking for `what` (or `writing` it), as an ObserverError."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, ObserverError):
        return error
    where = f"{what} (project {settings.project}, region {settings.region})"
    said = _said(error)
    if isinstance(error, (api.Unauthorized, api.Forbidden)):
        return NotPermitted(
            f"Cloud Run does not let these credentials ask for or change {where}: {said}",
            f"Grant them {_PERMITTED_BY}.",
        )
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return NotPermitted(
            f"there are no usable Google credentials to ask Cloud Run for {where}: {said}",
            "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
        )
    if isinstance(error, api.NotFound):
        return Absent(
            f"Cloud Run has no {where}", "Look at service, region and project in deployment.toml, and at the name."
        )
    if writing and isinstance(error, api.Conflict):
        return Changed(f"somebody else changed {where} at the same moment", "Read the service and decide anew.")
    if isinstance(error, api.ClientError) and error.code not in _UNDECIDED:
        return ObserverError(f"Cloud Run refused {where}: {said}", "Look at the names in deployment.toml.")
    kind: type[ObserverError] = Unclear if writing else ObserverError
    return kind(
        f"Cloud Run gave no usable answer about {where}: {said}",
        "Look at https://status.cloud.google.com and at the network here, then try again.",
    )


def _said(error: Exception) -> str:
    if isinstance(error, VerificationError):
        return error.cause
    text = " ".join((getattr(error, "message", "") or str(error) or type(error).__name__).split())
    text = _QUESTION.sub("", text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"

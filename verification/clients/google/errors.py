"""What can go wrong when Google's libraries read, in the suite's own exceptions."""

from __future__ import annotations

from verification.clients.lazy_imports import load
from verification.errors import NotPermitted, ObserverError

_LONGEST = 300


def unread(error: Exception, system: str, what: str, role: str) -> ObserverError:
    """`error`, met when asking `system` for `what`, as an ObserverError; `role` is what would permit it."""
    load("google.api_core.exceptions", "google.auth.exceptions")
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, ObserverError):
        return error
    said = " ".join((getattr(error, "message", "") or str(error) or type(error).__name__).split())[:_LONGEST]
    if isinstance(error, (api.Unauthorized, api.Forbidden)):
        return NotPermitted(f"{system} does not let these credentials ask for {what}: {said}", f"Grant them {role}.")
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return NotPermitted(
            f"there are no usable Google credentials to ask {system} for {what}: {said}",
            "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
        )
    if isinstance(error, api.ClientError) and not isinstance(error, api.TooManyRequests):
        return ObserverError(f"{system} refused to tell {what}: {said}", "Look at the names in deployment.toml.")
    return ObserverError(
        f"{system} gave no usable answer about {what}: {said}",
        "Look at https://status.cloud.google.com and at the network here, then try again.",
    )

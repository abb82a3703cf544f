"""What reading from any of Google's observing systems has in common: a limit in seconds, errors of ours, emulators."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeVar

from verification.clients.google.errors import unread
from verification.deadline import bounded
from verification.errors import ObserverError, SettingsError

T = TypeVar("T")


def asked(question: Callable[[], T], seconds: float, *, system: str, what: str, role: str) -> T:
    """The answer of `system` to a `question` about `what`, within `seconds`; `role` is what permits it.

    Raises ObserverError, NotPermitted; SettingsError as `question` does.
    """
    try:
        return bounded(question, seconds)
    except SettingsError:
        raise
    except TimeoutError:
        raise ObserverError(f"{system} gave no answer about {what} within {seconds:g} s", "Try again.") from None
    except Exception as error:
        raise unread(error, system, what, role) from error


def must_be_here(host: str, setting: str) -> None:
    """Raise SettingsError for an emulator that is not on this machine; `setting` names where it was given."""
    try:
        here = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        here = False
    if not here:
        raise SettingsError(f"{setting} is not on this machine", "Leave it out: it is for tests.")

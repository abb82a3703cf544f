"""A canary: an event of our own that proves that Sentry takes events, before "no errors" is believed.

It is marked by a tag and a release of its own, so that counts leave it out, and always joins one and the same issue.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from verification.clients.lazy_imports import load
from verification.deadline import now
from verification.errors import SettingsError
from verification.redaction import redact, register
from verification.settings.observers import keeps_secrets

CANARY_TAG = "deployment_verification"
CANARY_RELEASE = "deployment-verification-canary"
CANARY_TITLE = "Canary of the deployment verification"


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary that was sent: the value of its tag, and when."""

    mark: str
    sent: dt.datetime


def send_canary(dsn: str, environment: str, within: float) -> Canary:
    """Send a canary for `environment` and wait until it has left, at most `within` seconds.

    Whether Sentry took it is seen when it is found again: the SDK does not tell.
    Raises SettingsError for a DSN that is none, or that would travel in the clear.
    """
    load("sentry_sdk")
    import sentry_sdk
    from sentry_sdk.utils import BadDsn

    register(urlsplit(dsn).username or "")
    register(dsn)
    if not keeps_secrets(dsn):
        raise SettingsError("SENTRY_DSN would be used in the clear", "Use the DSN that starts with https://.")
    try:
        client = sentry_sdk.Client(
            dsn=dsn,
            environment=environment,
            release=CANARY_RELEASE,
            server_name="deployment-verification",
            default_integrations=False,
            auto_enabling_integrations=False,
            send_client_reports=False,
            auto_session_tracking=False,
            shutdown_timeout=0,
        )
    except BadDsn as error:
        raise SettingsError(
            f"SENTRY_DSN is no DSN: {redact(str(error))}", "Copy it from the project's settings in Sentry."
        ) from None
    sent = now()
    mark = secrets.token_hex(8)
    try:
        client.capture_event(
            {
                "message": CANARY_TITLE,
                "level": "info",
                "logger": "deployment-verification",
                "fingerprint": [CANARY_RELEASE],
                "tags": {CANARY_TAG: mark},
            },
            scope=sentry_sdk.Scope(),
        )
        client.flush(timeout=within)
    finally:
        client.close(timeout=0)
    return Canary(mark, sent)

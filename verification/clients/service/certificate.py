"""Look at the certificate that a server shows in its TLS handshake."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from verification.deadline import now
from verification.errors import NotRevisionRelated, ObserverError, VerificationError
from verification.verdict import Measurement


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether the certificate is trusted for its host, and for how long still."""

    trust: Measurement  # "trusted", or the problem
    days_left: Measurement


def certificate(address: str, ca_file: str | None, timeout: float) -> Certificate:
    """The certificate at an `https://` address, verified against the system's authorities, or those of `ca_file`."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 443
    source = f"TLS handshake with {host}:{port}"
    trusted, left, note, problem = None, None, "", None
    try:
        expires = _expiry(host, port, ca_file, timeout)
    except VerificationError as error:
        problem = error
    else:
        trusted, left = "trusted", round((expires - now()).total_seconds() / 86_400, 1)
        note = f"until {expires:%Y-%m-%d %H:%M} UTC"
    return Certificate(
        Measurement("certificate", trusted, source=source, problem=problem),
        Measurement("certificate valid for", left, unit="days", source=source, note=note, problem=problem),
    )


def trust(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, or those of `ca_file`. Raises ObserverError when that file is of no use."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise ObserverError(
            f"ca_file {ca_file} cannot be used: {error}", "It must be a PEM file of certificates."
        ) from None


def _expiry(host: str, port: int, ca_file: str | None, timeout: float) -> datetime:
    context = trust(ca_file)
    try:
        with (
            socket.create_connection((host, port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise NotRevisionRelated(f"the certificate of {host}:{port} is not trusted: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise NotRevisionRelated(f"no TLS handshake with {host}:{port}: {error}") from None
    except OSError as error:
        raise ObserverError(
            f"no connection to {host}:{port}: {error}", "Look at the network between here and it."
        ) from None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)

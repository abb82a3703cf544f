"""HTTP connections within the sandbox, which are never encrypted and never leave the machine."""

from __future__ import annotations

import ssl

import httpx


def plain_transport() -> httpx.AsyncHTTPTransport:
    """A transport without a proxy and without certificates: reading the trusted ones would take 50 ms each time."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=20)
    return httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, limits=limits)

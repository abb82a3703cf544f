"""Addresses that a service gives out: whether they may be asked at all."""

from __future__ import annotations

import ipaddress
import socket

import httpx


def unfit(address: str) -> str:
    """Why an address that the service gave out is not followed, or nothing: it could point into our own network."""
    try:
        url = httpx.URL(address)
        httpx.Request("GET", url)
    except (httpx.InvalidURL, ValueError):
        return "is not an address"
    if url.scheme not in {"http", "https"} or not url.host:
        return "is not an absolute http(s) address"
    return "points into the network of whoever asks" if _is_inside(url.host) else ""


def _is_inside(host: str) -> bool:
    """Whether `host` is where clouds keep their metadata, in any of the ways to write that."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # such as 0xa9fea9fe, which connects too
        except (OSError, UnicodeError):
            return host.rstrip(".").endswith(".internal")
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_link_local or (mapped is not None and mapped.is_link_local)

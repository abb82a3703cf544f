"""What every table of `deployment.toml` is made of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//") or not _is_printable(text):
        raise ValueError('expected a path on the service that starts with one "/" and has no blanks')
    return text


def _address(text: str) -> str:
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("an address must not carry credentials: they would be shown; take them out")
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"https", "http"} and text.startswith(parts.scheme + "://") and _is_host(parts)
    except ValueError:  # a port or an IPv6 address that is none
        good = False
    if not good or not _is_printable(text):
        raise ValueError('expected an address that starts with "https://" (or "http://" on this machine)')
    if "?" in text or "#" in text:
        raise ValueError('an address ends before "?" and "#": paths are appended to it')
    return text.rstrip("/")


def is_local(host: str) -> bool:
    """Whether `host` is this machine, by name or address."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_printable(text: str) -> bool:
    return text.isprintable() and " " not in text and "\\" not in text


def _is_host(parts: SplitResult) -> bool:
    """Whether a connection could be tried: a name with labels of 1 to 63 characters, and a port in its range."""
    host = parts.hostname or ""
    if ":" in host:
        ip_address(host.partition("%")[0])
        return parts.port != 0
    labels = host.removesuffix(".").split(".")
    return parts.port != 0 and len(host) <= 253 and all(0 < len(label) <= 63 for label in labels)


Path = Annotated[str, AfterValidator(_path)]
Address = Annotated[str, AfterValidator(_address)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    # Deferred: what reads the whole file is built once, not once more for each table in it.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

"""What every table of `deployment.toml` is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//"):
        raise ValueError('expected a path on the service that starts with one "/"')
    return text


def _address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or text.partition("://")[2] in {"", "/"}:
        raise ValueError('expected an address that starts with "https://" (or "http://" on this machine)')
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("an address must not carry credentials: they would be shown; take them out")
    return text.rstrip("/")


Path = Annotated[str, AfterValidator(_path)]
Address = Annotated[str, AfterValidator(_address)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

"""How a Google HTTP API answers an error and reads a body; shared by the v1 and the v2 side."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar, cast

from google.protobuf import json_format
from google.protobuf.message import Message
from grpc import StatusCode
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.platform.errors import ApiError, InvalidArgument
from sandbox.vendor_api import Json, json_object

_DEFAULT_PAGE = 100
_Item = TypeVar("_Item")
_Model = TypeVar("_Model", bound=BaseModel)
_BY_THE_ROUTER = {404: StatusCode.NOT_FOUND, 405: StatusCode.UNIMPLEMENTED}


def error_response(error: ApiError) -> JSONResponse:
    """The error in the shape that all Google APIs share."""
    body: dict[str, object] = {"code": error.http, "message": error.message, "status": error.code.name}
    if error.field:
        body["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": error.field, "description": error.message}],
            }
        ]
    return JSONResponse({"error": body}, status_code=error.http)


def exception_handlers() -> dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]]:
    """Handlers that turn our errors, and the router's, into Google's shape."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error_response(error)

    async def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = f"{request.method} {request.url.path} is not a method of this API."
        return error_response(ApiError(_BY_THE_ROUTER[error.status_code], error.status_code, message))

    return {ApiError: refused, HTTPException: unrouted}


async def read_body(request: Request) -> dict[str, Json]:
    """The body, which must be a JSON object; an empty body is an empty object. Raises InvalidArgument."""
    unparsable = InvalidArgument("Invalid JSON payload received. Expected a value.")
    no_object = InvalidArgument("Invalid JSON payload received. An object was expected.")
    return cast("dict[str, Json]", await json_object(request, unparsable, no_object))


def parse_json(values: Mapping[str, Json], message: Message, *, ignore_unknown_fields: bool = False) -> None:
    """Read JSON values into `message`; enums may be names or numbers. Raises InvalidArgument."""
    try:
        json_format.ParseDict(values, message, ignore_unknown_fields=ignore_unknown_fields)
    except json_format.ParseError as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from None


def validate(values: Mapping[str, Json], model: type[_Model]) -> _Model:
    """The JSON values as a `model`. Raises InvalidArgument."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidArgument(f"Invalid value at '{field}': {first['msg']}", field) from None


def rfc3339(at: datetime) -> str:
    """A time to the microsecond, as Google's JSON has it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def page(items: Sequence[_Item], size: int, token: str) -> tuple[list[_Item], str]:
    """One page of a list and the token of the next. Raises InvalidArgument for a bad size or token."""
    if size < 0:
        raise InvalidArgument("page_size must not be negative.", "page_size")
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except (ValueError, binascii.Error):
        raise InvalidArgument("The page token is invalid.", "page_token") from None
    end = start + (min(size, _DEFAULT_PAGE) or _DEFAULT_PAGE)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else ""
    return list(items[start:end]), following

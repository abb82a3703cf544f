"""How a Google HTTP API answers an error and reads a body; shared by the v1 and the v2 side."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from google.protobuf import duration_pb2, json_format
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.platform.errors import ApiError, InvalidArgument

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
_MAX_WAIT_SECONDS = 60.0
_STATUS_NAMES = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}


def error_response(error: ApiError) -> JSONResponse:
    """The error in the shape that all Google APIs share."""
    body: dict[str, object] = {"code": error.http, "message": error.message, "status": error.status}
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
        return JSONResponse(
            {
                "error": {
                    "code": error.status_code,
                    "message": message,
                    "status": _STATUS_NAMES.get(error.status_code, "UNKNOWN"),
                }
            },
            status_code=error.status_code,
        )

    return {ApiError: refused, HTTPException: unrouted}


async def json_object(request: Request) -> dict[str, Json]:
    """The body, which must be a JSON object; an empty body is an empty object. Raises InvalidArgument."""
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from None
    if not isinstance(body, dict):
        raise InvalidArgument("Invalid JSON payload received. An object was expected.")
    return body


async def wait_seconds(request: Request) -> float:
    """The `timeout` of an operation's :wait call; a minute when there is none, and at most. Raises InvalidArgument."""
    timeout = (await json_object(request)).get("timeout")
    if timeout is None:
        return _MAX_WAIT_SECONDS
    duration = duration_pb2.Duration()
    try:
        json_format.ParseDict(timeout, duration)
    except json_format.ParseError as error:
        raise InvalidArgument(f"Invalid value at 'timeout': {error}", "timeout") from None
    asked: float = duration.ToTimedelta().total_seconds()
    return min(asked, _MAX_WAIT_SECONDS)

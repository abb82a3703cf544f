"""The errors a Google API answers with, each with its gRPC code, its HTTP status and its name."""

from __future__ import annotations

from typing import ClassVar


class ApiError(Exception):
    """A refused call or a failed operation; `code`, `http` and `status` are what google.rpc.Code says of it."""

    code: ClassVar[int] = 13
    http: ClassVar[int] = 500
    status: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field  # the request field at fault, when there is one


class Conflict(ApiError):
    """The resource changed since the caller read it (stale etag or resourceVersion): read again and decide anew."""

    code, http, status = 10, 409, "ABORTED"


class AlreadyExists(ApiError):
    """The name is taken by something different; repeating the call cannot help."""

    code, http, status = 6, 409, "ALREADY_EXISTS"


class NotFound(ApiError):
    """No such service, revision or operation."""

    code, http, status = 5, 404, "NOT_FOUND"


class InvalidArgument(ApiError):
    """The request makes no sense whatever the state; `field` names the part at fault."""

    code, http, status = 3, 400, "INVALID_ARGUMENT"


class FailedPrecondition(ApiError):
    """The state does not allow it, for example a revision that is not ready is asked to serve."""

    code, http, status = 9, 400, "FAILED_PRECONDITION"


class PermissionDenied(ApiError):
    """The project is not the caller's, or does not exist."""

    code, http, status = 7, 403, "PERMISSION_DENIED"


class Unauthenticated(ApiError):
    """The credentials are none, or have expired (the fault `cloud-run-401`)."""

    code, http, status = 16, 401, "UNAUTHENTICATED"


class ResourceExhausted(ApiError):
    """More calls than the quota allows (the fault `cloud-run-429`)."""

    code, http, status = 8, 429, "RESOURCE_EXHAUSTED"


class Unimplemented(ApiError):
    """Google would do it, the sandbox does not."""

    code, http, status = 12, 501, "UNIMPLEMENTED"


class Unavailable(ApiError):
    """The API is down (the fault `cloud-run-down`)."""

    code, http, status = 14, 503, "UNAVAILABLE"

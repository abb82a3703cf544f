"""The errors a Google API answers with, each with its gRPC code, whose name REST gives too, and its HTTP status."""

from __future__ import annotations

from functools import partial

from grpc import StatusCode


class ApiError(Exception):
    """A refused call or a failed operation; `field` is the field of the request at fault, when there is one."""

    def __init__(self, code: StatusCode, http: int, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code, self.http, self.message, self.field = code, http, message, field


AlreadyExists = partial(ApiError, StatusCode.ALREADY_EXISTS, 409)
Conflict = partial(ApiError, StatusCode.ABORTED, 409)  # a stale etag or resourceVersion: read again and decide anew
FailedPrecondition = partial(ApiError, StatusCode.FAILED_PRECONDITION, 400)
Internal = partial(ApiError, StatusCode.INTERNAL, 500)
InvalidArgument = partial(ApiError, StatusCode.INVALID_ARGUMENT, 400)
NotFound = partial(ApiError, StatusCode.NOT_FOUND, 404)
PermissionDenied = partial(ApiError, StatusCode.PERMISSION_DENIED, 403)  # the project is another's, or is none
ResourceExhausted = partial(ApiError, StatusCode.RESOURCE_EXHAUSTED, 429)
Unauthenticated = partial(ApiError, StatusCode.UNAUTHENTICATED, 401)
Unavailable = partial(ApiError, StatusCode.UNAVAILABLE, 503)
Unimplemented = partial(ApiError, StatusCode.UNIMPLEMENTED, 501)  # Google would do it, the sandbox does not

"""Exceptions that refuse a request; each app turns each class into its own HTTP response."""

from collections.abc import Mapping
from math import ceil

from starlette.responses import JSONResponse


class RequestRefusedError(Exception):
    """The whole request is refused. `kind` is a stable word for programs."""

    status = 422

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def headers(self) -> dict[str, str]:
        """Additional headers of the response."""
        return {}


class MalformedBodyError(RequestRefusedError):
    """The body is not valid JSON, or not a valid form."""

    status = 400


class InputRefusedError(RequestRefusedError):
    """An item cannot be embedded, and the format of the response has no place to say so."""

    status = 400


class UnauthorizedError(RequestRefusedError):
    """The API key is missing or wrong."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """The header that says how to authenticate (RFC 9110, section 11.6.1)."""
        return {"WWW-Authenticate": "Bearer"}


class ForbiddenError(RequestRefusedError):
    """The client does not have the right to do this."""

    status = 403


class UnknownModelError(RequestRefusedError):
    """The request names a model that this server does not have."""

    status = 404


class RequestTimeoutError(RequestRefusedError):
    """The body of the request did not arrive in time."""

    status = 408


class RequestTooLargeError(RequestRefusedError):
    """The request has more bytes, items or tokens than are allowed."""

    status = 413


class BusyError(RequestRefusedError):
    """The server has no capacity now; `seconds` says when to retry, from 1 to 60, rounded up."""

    status = 429

    def __init__(self, seconds: float) -> None:
        self.seconds = min(60, max(1, ceil(seconds)))
        super().__init__("busy", f"the queue is full: try again in {self.seconds} s")

    @property
    def headers(self) -> dict[str, str]:
        """The header that says when to retry."""
        return {"Retry-After": str(self.seconds)}


class ModelDownError(RequestRefusedError):
    """The worker thread of a model has ended or hangs."""

    status = 503


def error_response(
    kind: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error response in OpenAI's format, which its clients can read."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return JSONResponse(body, status, headers)

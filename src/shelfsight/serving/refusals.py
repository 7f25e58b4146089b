"""How a request is refused: exceptions that become HTTP answers, once, by class."""

from collections.abc import Mapping
from math import ceil

from starlette.responses import JSONResponse


class RequestRefusedError(Exception):
    """The request as a whole is not served; `kind` is a stable word."""

    status = 422

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def headers(self) -> dict[str, str]:
        """What the answer has besides its body."""
        return {}


class NotJsonError(RequestRefusedError):
    """The body cannot be read as JSON."""

    status = 400


class KeyRefusedError(RequestRefusedError):
    """The API key is missing or wrong."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """Say how to authenticate (RFC 9110, 11.6.1)."""
        return {"WWW-Authenticate": "Bearer"}


class ModelUnknownError(RequestRefusedError):
    """The request names a model that is not served."""

    status = 404


class TooSlowError(RequestRefusedError):
    """The body did not arrive in time."""

    status = 408


class TooMuchError(RequestRefusedError):
    """More bytes, items or tokens than one request may have."""

    status = 413


class BusyError(RequestRefusedError):
    """There is no room for the request now; `seconds` is when there may be."""

    status = 429

    def __init__(self, seconds: float) -> None:
        self.seconds = min(60, max(1, ceil(seconds)))
        super().__init__("busy", f"the queue is full: try again in {self.seconds} s")

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come again."""
        return {"Retry-After": str(self.seconds)}


class DownError(RequestRefusedError):
    """A model's worker has ended or hangs."""

    status = 503


def error_answer(
    kind: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make an answer without embeddings, in the shape that OpenAI's clients read."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": status}}
    return JSONResponse(body, status, headers)

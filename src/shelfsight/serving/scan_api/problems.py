"""Turns each class of error into a response of `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shelfsight.errors import (
    DatabaseError,
    DatabaseTimeoutError,
    DecoderError,
    FilterError,
    ModelError,
    ModelMismatchError,
    SchemaError,
    ServerError,
)
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, Stage
from shelfsight.serving.fair_capacity import FullError
from shelfsight.serving.refusals import BusyError, RequestRefusedError

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5
"""Suggested retry delay when the server is at capacity, or the database or a model is down."""

_DECODE_STATUS = {
    "too_large": 413,
    "too_many_pixels": 413,
    "too_much_memory": 413,
    "too_slow_to_decode": 413,
    "decode_timeout": 503,
    "bad_base64": 422,
    "blank": 422,
}

_UNAVAILABLE = (
    (
        ModelMismatchError,
        "models_differ",
        "the stored vectors come from other models than this server's: see shelfsight models",
    ),
    (SchemaError, "not_prepared", "the database is not prepared: run shelfsight init"),
    (DecoderError, "decoder_away", "pictures cannot be decoded now"),
    (ServerError, "model_away", "the models cannot be used now"),
    (ModelError, "model_away", "the models cannot be used now"),
    (DatabaseTimeoutError, "database_busy", "the database reached a time limit: try again"),
    (DatabaseError, "database_away", "the database cannot be used now"),
    (TimeoutError, "too_slow", "this takes too long; a model may be waking up"),
)
"""Errors that become a 503, with kind and text. The error's own text may name hosts and users,
so it is only written to the log."""

_LOG = logging.getLogger("shelfsight.serving")


class ProblemDetails(BaseModel):
    """The body of an error response.

    `type` ends in a stable word for programs. `detail` is a text for people.
    """

    type: str
    title: str
    status: int
    detail: str


class NotFoundError(RequestRefusedError):
    """The requested thing does not exist, or the client may not see it."""

    status = 404


class ContentTypeError(RequestRefusedError):
    """The body of the request is neither JSON nor a form with files."""

    status = 415


class RateLimitedError(RequestRefusedError):
    """The client has exceeded a rate limit."""

    status = 429

    def __init__(self, limit: str, seconds: int) -> None:
        super().__init__("limit_reached", f"the limit is {limit}: try again in {seconds} s")
        self._seconds = seconds

    @property
    def headers(self) -> dict[str, str]:
        """The header that says when to retry."""
        return {"Retry-After": str(self._seconds)}


class UnavailableError(RequestRefusedError):
    """The database or a model is down, or too slow."""

    status = 503

    @property
    def headers(self) -> dict[str, str]:
        """The header that says when to retry."""
        return {"Retry-After": str(RETRY_SECONDS)}


def problem_details(kind: str, status: int, detail: str) -> ProblemDetails:
    """Return the body of an error response."""
    return ProblemDetails(
        type=f"urn:shelfsight:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
    )


def picture_problem(failure: Failure) -> ProblemDetails:
    """Return the error for a picture that could not be fetched (424) or decoded (mostly 415).

    The error does not tell the client to which address a private host name resolves.
    """
    detail = failure.message
    if failure.kind == "forbidden_address":
        detail = "the address is not a public one"
    if failure.stage == Stage.FETCH:
        return problem_details(failure.kind, 424, f"the picture could not be fetched: {detail}")
    return problem_details(failure.kind, _DECODE_STATUS.get(failure.kind, 415), detail)


def add_error_handlers(app: FastAPI, count: Callable[[str], None]) -> None:
    """Register an error response for each class of error; `count` is called with its kind."""

    def handle(_request: Request, error: Exception) -> Response:
        problem, headers = details_of(error)
        count(problem.type.rpartition(":")[2])
        if problem.status == 503:
            _LOG.warning("%s", error)
        body = problem.model_dump_json()
        return Response(body, problem.status, headers, media_type=PROBLEM_JSON)

    for kind in (
        *(RequestRefusedError, UnusablePictureError, FullError, TimeoutError),
        *(FilterError, ServerError, ModelError, DatabaseError, DecoderError),
        *(RequestValidationError, HTTPException, Exception),
    ):
        app.add_exception_handler(kind, handle)


def details_of(error: Exception) -> tuple[ProblemDetails, dict[str, str]]:
    """Return the body and the headers of the response to an error; a bug gets status 500."""
    match error:
        case UnusablePictureError():
            return picture_problem(error.failure), {}
        case RequestValidationError():
            return problem_details("bad_request", 422, _first_error(error)), {}
        case HTTPException():
            status = error.status_code
            details = problem_details(f"http_{status}", status, str(error.detail))
            return details, dict(error.headers or {})
    refusal = error if isinstance(error, RequestRefusedError) else _refusal(error)
    if refusal is None:
        return problem_details("bug", 500, "something went wrong that should not"), {}
    return problem_details(refusal.kind, refusal.status, str(refusal)), refusal.headers


def _refusal(error: Exception) -> RequestRefusedError | None:
    """Return the refusal that the client gets for an error of the application; None for a bug."""
    if isinstance(error, FullError):
        return BusyError(RETRY_SECONDS)
    if isinstance(error, FilterError):
        return RequestRefusedError("bad_filter", str(error))
    return unavailable(error)


def unavailable(error: Exception) -> UnavailableError | None:
    """Return the refusal for an error of the database or a model; None for any other error."""
    for kind, word, detail in _UNAVAILABLE:
        if isinstance(error, kind):
            return UnavailableError(word, detail)
    return None


def _first_error(error: RequestValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"

"""Errors as `application/problem+json` (RFC 9457): each class of error becomes an answer, here."""

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
    FilterError,
    ModelError,
    ModelMismatchError,
    SchemaError,
    ServerError,
)
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, Stage
from shelfsight.serving.limits import FullError
from shelfsight.serving.refusals import BusyError, RequestRefusedError

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5
"""When to come again after the database or a model was away."""

_UNREADABLE = {"too_large": 413, "too_many_pixels": 413, "bad_base64": 422}

_AWAY = (
    (
        ModelMismatchError,
        "models_differ",
        "the stored vectors come from other models than this server's: see shelfsight models",
    ),
    (SchemaError, "not_prepared", "the database is not prepared: run shelfsight init"),
    (ServerError, "model_away", "the models cannot be used now"),
    (ModelError, "model_away", "the models cannot be used now"),
    (DatabaseError, "database_away", "the database cannot be used now"),
    (TimeoutError, "too_slow", "this takes too long; a model may be waking up"),
)
"""Their own words may name hosts and users: those go to the log only."""

_LOG = logging.getLogger("shelfsight.serving")


class Problem(BaseModel):
    """What went wrong. `type` ends in a stable word for machines, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str


class ForbiddenError(RequestRefusedError):
    """This caller may not ask this."""

    status = 403


class NotFoundError(RequestRefusedError):
    """There is none, or none that this caller may see."""

    status = 404


class ContentTypeError(RequestRefusedError):
    """The body is neither JSON nor a form with files."""

    status = 415


class LimitedError(RequestRefusedError):
    """The caller asked too much within a minute."""

    status = 429

    def __init__(self, limit: str, seconds: int) -> None:
        super().__init__("limit_reached", f"the limit is {limit}: try again in {seconds} s")
        self._seconds = seconds

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come again."""
        return {"Retry-After": str(self._seconds)}


class AwayError(RequestRefusedError):
    """The database or a model cannot be used now."""

    status = 503

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come again."""
        return {"Retry-After": str(RETRY_SECONDS)}


def problem(kind: str, status: int, detail: str) -> Problem:
    """Make the shape of every error."""
    return Problem(
        type=f"urn:shelfsight:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
    )


def picture_problem(failure: Failure) -> Problem:
    """424 for a picture that could not be fetched, mostly 415 for one that cannot be read.

    What a private name resolves to stays here.
    """
    detail = failure.message
    if failure.kind == "forbidden_address":
        detail = "the address is not a public one"
    if failure.stage == Stage.FETCH:
        return problem(failure.kind, 424, f"the picture could not be fetched: {detail}")
    return problem(failure.kind, _UNREADABLE.get(failure.kind, 415), detail)


def answer_errors(app: FastAPI, count: Callable[[str], None]) -> None:
    """Give each class of error its answer, and count it by its kind."""

    def answer(_request: Request, error: Exception) -> Response:
        said, headers = _explained(error)
        count(said.type.rpartition(":")[2])
        if said.status == 503:
            _LOG.warning("%s", error)
        body = said.model_dump_json()
        return Response(body, said.status, headers, media_type=PROBLEM_JSON)

    for kind in (
        *(RequestRefusedError, UnusablePictureError, FullError, TimeoutError),
        *(FilterError, ServerError, ModelError, DatabaseError),
        *(RequestValidationError, HTTPException, Exception),
    ):
        app.add_exception_handler(kind, answer)


def _explained(error: Exception) -> tuple[Problem, dict[str, str]]:
    match error:
        case UnusablePictureError():
            return picture_problem(error.failure), {}
        case RequestValidationError():
            return problem("bad_request", 422, _first(error)), {}
        case HTTPException():
            status = error.status_code
            said = problem(f"http_{status}", status, str(error.detail))
            return said, dict(error.headers or {})
    refusal = error if isinstance(error, RequestRefusedError) else _refusal(error)
    if refusal is None:
        return problem("bug", 500, "something went wrong that should not"), {}
    return problem(refusal.kind, refusal.status, str(refusal)), refusal.headers


def _refusal(error: Exception) -> RequestRefusedError | None:
    """What an error of the parts below means for whoever asked; None for a bug."""
    if isinstance(error, FullError):
        return BusyError(RETRY_SECONDS)
    if isinstance(error, FilterError):
        return RequestRefusedError("bad_filter", str(error))
    for kind, word, detail in _AWAY:
        if isinstance(error, kind):
            return AwayError(word, detail)
    return None


def _first(error: RequestValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"

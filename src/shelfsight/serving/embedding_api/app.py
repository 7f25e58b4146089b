"""The HTTP app of the embedding server: routes, who may use them, errors, start and stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shelfsight import __version__
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.embedding.openai_wire import OPENAI_PATH, OpenAIRequest, OpenAIResponse
from shelfsight.embedding.wire import (
    HEALTH_PATH,
    IMAGE_PATH,
    TEXT_PATH,
    EmbedResponse,
    Health,
    ImageRequest,
    TextRequest,
)
from shelfsight.serving.access import Key
from shelfsight.serving.embedding_api.dynamic_batching import WorkerDownError
from shelfsight.serving.embedding_api.endpoints import Endpoints
from shelfsight.serving.embedding_api.metrics import Metrics
from shelfsight.serving.embedding_api.model_batchers import Embeddings
from shelfsight.serving.limits import Limits
from shelfsight.serving.measured import Measured
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.refusals import (
    DownError,
    KeyRefusedError,
    RequestRefusedError,
    error_answer,
)

Guard = Callable[[Request], Awaitable[None]]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_LOOKS_A_STUCK = 20
"""How often a worker is looked at within the time after which it counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """Without a `key` everyone is served. `device` is told by `/health`."""

    key: Key | None = None
    limits: Limits = field(default_factory=Limits)
    device: str = "cpu"


def create(image: ImageModel, text: TextModel, config: AppConfig) -> FastAPI:
    """Make the app around two loaded models; it serves once its lifespan has begun."""
    metrics = Metrics()
    embeddings = Embeddings(image, text, config.limits, metrics)
    endpoints = Endpoints(embeddings, config.limits, metrics, config.device)
    app = FastAPIOffline(
        title="shelfsight embedding server",
        version=__version__,
        lifespan=_lifespan(embeddings, config.limits),
        docs_url=DOCS_PATH,
        redoc_url=None,
        swagger_ui_parameters={"validatorUrl": None},  # which is another host's
    )
    app.add_middleware(Measured, metrics=metrics)
    guard = _guard(config.key)
    for path, handler, asked, answered in (
        (IMAGE_PATH, endpoints.embed_image, ImageRequest, EmbedResponse),
        (TEXT_PATH, endpoints.embed_text, TextRequest, EmbedResponse),
        (OPENAI_PATH, endpoints.openai, OpenAIRequest, OpenAIResponse),
    ):
        app.router.add_api_route(
            path,
            _guarded(guard, handler),
            methods=["POST"],
            openapi_extra=_request_body(asked),
            responses={200: {"model": answered}, 422: {"model": answered}},
            route_class_override=_DirectRoute,
        )
    app.add_api_route(METRICS_PATH, endpoints.metrics, dependencies=[Depends(guard)])
    app.add_api_route(
        HEALTH_PATH, endpoints.health, responses={200: {"model": Health}, 503: {"model": Health}}
    )
    app.add_api_route(READY_PATH, endpoints.ready)
    app.add_api_route("/", endpoints.root)
    _answer_errors(app, metrics)
    return app


def _lifespan(embeddings: Embeddings, limits: Limits) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await embeddings.warm_up()
        watchdog = asyncio.create_task(_watch(embeddings, limits.stuck_seconds / _LOOKS_A_STUCK))
        try:
            yield
        finally:
            watchdog.cancel()
            await asyncio.to_thread(embeddings.close)

    return lifespan


async def _watch(embeddings: Embeddings, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        embeddings.fail_if_down()


class _DirectRoute(APIRoute):
    """Hands the request to its endpoint, which reads it by hand: much faster for short ones."""

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint
        return handler


def _guarded(guard: Guard, handler: Handler) -> Handler:
    @wraps(handler)
    async def guarded(request: Request) -> Response:
        await guard(request)
        return await handler(request)

    return guarded


def _guard(key: Key | None) -> Guard:
    async def guard(request: Request) -> None:
        if key is not None and not key.opens(request.headers.get("authorization", "")):
            raise KeyRefusedError("unauthorized", "send the key as: Authorization: Bearer KEY")

    return guard


def _answer_errors(app: FastAPI, metrics: Metrics) -> None:
    """Give each class of error its answer, and count it."""

    def answer(kind: str, error: RequestRefusedError | None, status: int) -> Response:
        metrics.errors.labels(kind).inc()
        message = str(error) if error else HTTPStatus(status).phrase
        return error_answer(kind, message, status, error.headers if error else None)

    def refused(_request: Request, error: Exception) -> Response:
        match error:
            case RequestRefusedError():
                return answer(error.kind, error, error.status)
            case WorkerDownError():
                return answer("worker_down", DownError("worker_down", str(error)), 503)
            case HTTPException():
                return answer(f"http_{error.status_code}", None, error.status_code)
        return answer("bug", None, 500)

    for kind in (RequestRefusedError, WorkerDownError, HTTPException, Exception):
        app.add_exception_handler(kind, refused)


def _request_body(shape: type[BaseModel]) -> dict[str, Any]:
    """Describe a body for `/docs`: it is read by hand, so that limits come before parsing."""
    schema = {"schema": shape.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}

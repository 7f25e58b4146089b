"""The HTTP app of the embedding server: routes, access, error responses, startup and shutdown."""

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
from shelfsight.embedding.openai_wire import MODELS_PATH, OPENAI_PATH, OpenAIRequest, OpenAIResponse
from shelfsight.embedding.wire import (
    HEALTH_PATH,
    IMAGE_PATH,
    TEXT_PATH,
    EmbedResponse,
    Health,
    ImageRequest,
    TextRequest,
)
from shelfsight.serving.access import ServerKey, check_local, check_origin
from shelfsight.serving.callers import CALLER, address_of
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.embedding_api.dynamic_batching import WorkerDownError
from shelfsight.serving.embedding_api.endpoints import EmbeddingEndpoints
from shelfsight.serving.embedding_api.metrics import EmbeddingMetrics
from shelfsight.serving.embedding_api.model_batchers import ModelBatchers
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.refusals import (
    ModelDownError,
    RequestRefusedError,
    UnauthorizedError,
    error_response,
)
from shelfsight.serving.request_log import RequestLogMiddleware
from shelfsight.serving.request_metrics import RequestMetricsMiddleware
from shelfsight.serving.request_traces import RequestTracesMiddleware
from shelfsight.serving.workers.link import OwnMetrics, Scrape

Guard = Callable[[Request], Awaitable[None]]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_CHECKS_PER_STUCK_TIME = 20
"""How often workers are checked within the time after which a worker counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """Options of the app. `/health` reports the `device`.

    Without a `key`, clients on this machine are served; with `open_to_all`, all clients are. There
    are `decoders` processes that decode pictures, or one per core. `share_metrics` gets the metrics
    of this app, and returns what reads those that `/metrics` shows.
    """

    key: ServerKey | None = None
    open_to_all: bool = False
    limits: ServerLimits = field(default_factory=ServerLimits)
    device: str = "cpu"
    decoders: int | None = None
    share_metrics: Callable[[OwnMetrics], Scrape] | None = None


def create(
    image: ImageModel,
    text: TextModel,
    config: AppConfig,
    connections: ConnectionTable | None = None,
) -> FastAPI:
    """Create the app for two loaded models; it serves requests once its lifespan has started.

    The metrics tell the number of `connections`.
    """
    metrics = EmbeddingMetrics()
    if connections is not None:
        metrics.stores.watch_connections(connections)
    if config.share_metrics is not None:
        metrics.scrape = config.share_metrics(metrics.text)
    batchers = ModelBatchers(image, text, config.limits, metrics, config.decoders)
    endpoints = EmbeddingEndpoints(batchers, config.limits, metrics, config.device)
    app = FastAPIOffline(
        title="shelfsight embedding server",
        version=__version__,
        lifespan=_lifespan(batchers, config.limits),
        docs_url=DOCS_PATH,
        redoc_url=None,
        swagger_ui_parameters={"validatorUrl": None},  # the validator is on another host
    )
    app.add_middleware(RequestLogMiddleware)
    app.add_middleware(RequestTracesMiddleware)
    app.add_middleware(RequestMetricsMiddleware, metrics=metrics)
    guard = _guard(config)
    for path, handler, request_model, response_model in (
        (IMAGE_PATH, endpoints.embed_image, ImageRequest, EmbedResponse),
        (TEXT_PATH, endpoints.embed_text, TextRequest, EmbedResponse),
        (OPENAI_PATH, endpoints.openai, OpenAIRequest, OpenAIResponse),
    ):
        app.router.add_api_route(
            path,
            _with_guard(guard, handler),
            methods=["POST"],
            openapi_extra=_request_body(request_model),
            responses={200: {"model": response_model}, 422: {"model": response_model}},
            route_class_override=_DirectRoute,
        )
    app.add_api_route(METRICS_PATH, endpoints.metrics, dependencies=[Depends(guard)])
    app.add_api_route(MODELS_PATH, endpoints.models, dependencies=[Depends(guard)])
    app.add_api_route(
        HEALTH_PATH, endpoints.health, responses={200: {"model": Health}, 503: {"model": Health}}
    )
    app.add_api_route(READY_PATH, endpoints.ready)
    for path, probe in ((HEALTH_PATH, endpoints.health), (READY_PATH, endpoints.ready)):
        app.add_api_route(path, probe, methods=["HEAD"], include_in_schema=False)
    app.add_api_route("/", endpoints.root)
    _add_error_handlers(app, metrics)
    return app


def _lifespan(batchers: ModelBatchers, limits: ServerLimits) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await batchers.warm_up()
        watchdog = asyncio.create_task(
            _watch_workers(batchers, limits.stuck_seconds / _CHECKS_PER_STUCK_TIME)
        )
        try:
            yield
        finally:
            watchdog.cancel()
            await asyncio.to_thread(batchers.close)

    return lifespan


async def _watch_workers(batchers: ModelBatchers, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        batchers.fail_if_down()


class _DirectRoute(APIRoute):
    """Passes the raw request to its endpoint; for short requests much faster than FastAPI."""

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint
        return handler


def _with_guard(guard: Guard, handler: Handler) -> Handler:
    @wraps(handler)
    async def handle_guarded(request: Request) -> Response:
        await guard(request)
        return await handler(request)

    return handle_guarded


def _guard(config: AppConfig) -> Guard:
    """Return a check that refuses who may not ask; it sets `CALLER`, since all share one key."""

    async def guard(request: Request) -> None:
        CALLER.set(address_of(request))
        if config.key is not None:
            if not config.key.matches(request.headers.get("authorization", "")):
                message = "send the key as: Authorization: Bearer KEY"
                raise UnauthorizedError("unauthorized", message)
        elif not config.open_to_all:
            check_origin(request)
            check_local(request)

    return guard


def _add_error_handlers(app: FastAPI, metrics: EmbeddingMetrics) -> None:
    """Register an error response for each class of error, and count errors by kind."""

    def respond(kind: str, error: RequestRefusedError | None, status: int) -> Response:
        metrics.errors.labels(kind).inc()
        message = str(error) if error else HTTPStatus(status).phrase
        return error_response(kind, message, status, error.headers if error else None)

    def handle(_request: Request, error: Exception) -> Response:
        match error:
            case RequestRefusedError():
                return respond(error.kind, error, error.status)
            case WorkerDownError():
                return respond("worker_down", ModelDownError("worker_down", str(error)), 503)
            case HTTPException():
                return respond(f"http_{error.status_code}", None, error.status_code)
        return respond("bug", None, 500)

    for kind in (RequestRefusedError, WorkerDownError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)


def _request_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a request body for OpenAPI, because FastAPI does not parse the body itself.

    The endpoint parses the body after it has checked the limits.
    """
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}

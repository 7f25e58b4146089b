"""The HTTP app of `shelfsight serve`: routes, headers, error responses, startup and shutdown."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse

from shelfsight import __version__
from shelfsight.embedding.wire import HEALTH_PATH
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.request_log import RequestLogMiddleware
from shelfsight.serving.request_metrics import RequestMetricsMiddleware
from shelfsight.serving.request_traces import RequestTracesMiddleware
from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.endpoints import ScanEndpoints
from shelfsight.serving.scan_api.health import HealthCheck, Readiness, ServiceHealth
from shelfsight.serving.scan_api.openapi import FEEDBACK, SCAN, describe, error_responses
from shelfsight.serving.scan_api.page import routes
from shelfsight.serving.scan_api.path_prefix import PathPrefix
from shelfsight.serving.scan_api.problems import add_error_handlers
from shelfsight.serving.scan_api.responses import (
    BoxesResponse,
    FeedbackResponse,
    MatchesResponse,
    ScanResponse,
)
from shelfsight.serving.scan_api.security_headers import SecurityHeaders

SCAN_PATH = "/products/orchestrate/quick-scan"
FEEDBACK_PATH = "/products/feedback"
BOXES_PATH = "/products/orchestrate/boxes"
STREAM_PATH = f"{SCAN_PATH}/stream"
SIMILAR_PATH = "/products/{id:path}/similar"
"""An id may have slashes, as `gid://shopify/ProductVariant/1` has."""


def create(context: ScanContext, connections: ConnectionTable | None = None) -> FastAPI:
    """Create the app; it serves requests once its lifespan has started.

    The metrics tell the number of `connections`.
    """
    if connections is not None:
        context.metrics.stores.watch_connections(connections)
    health = HealthCheck(context)
    endpoints = ScanEndpoints(context, health)
    app = FastAPIOffline(
        title="shelfsight",
        swagger_ui_parameters={"validatorUrl": None},  # the validator is on another host
        version=__version__,
        lifespan=_lifespan(endpoints),
        docs_url=DOCS_PATH,
        redoc_url=None,
    )
    app.add_middleware(SecurityHeaders)
    if context.config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.config.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(RequestLogMiddleware)
    app.add_middleware(RequestTracesMiddleware)
    app.add_middleware(RequestMetricsMiddleware, metrics=context.metrics)
    if context.config.path_prefix:
        app.add_middleware(PathPrefix, prefix=context.config.path_prefix)
    _add_routes(app, endpoints)
    app.include_router(routes.router(context))
    add_error_handlers(app, context.metrics.count_error)
    describe(app)
    return app


def _add_routes(app: FastAPI, endpoints: ScanEndpoints) -> None:
    app.add_api_route(
        SCAN_PATH,
        endpoints.scan,
        methods=["POST"],
        openapi_extra=SCAN,
        responses={200: {"model": ScanResponse}, **error_responses(400, 408, 413, 415, 422, 424)},
    )
    app.add_api_route(
        STREAM_PATH,
        endpoints.scan_stream,
        methods=["POST"],
        openapi_extra=SCAN,
        responses={
            200: {"content": {"text/event-stream": {}}},
            **error_responses(400, 408, 413, 415, 422),
        },
    )
    app.add_api_route(
        BOXES_PATH,
        endpoints.boxes,
        methods=["POST"],
        openapi_extra=SCAN,
        responses={200: {"model": BoxesResponse}, **error_responses(400, 408, 413, 415, 422, 424)},
    )
    app.add_api_route(
        FEEDBACK_PATH,
        endpoints.feedback,
        methods=["POST"],
        status_code=201,
        openapi_extra=FEEDBACK,
        responses={201: {"model": FeedbackResponse}, **error_responses(400, 404, 408, 413, 422)},
    )
    app.add_api_route(
        SIMILAR_PATH,
        endpoints.similar,
        responses={200: {"model": MatchesResponse}, **error_responses(404, 422)},
    )
    app.add_api_route(
        HEALTH_PATH,
        endpoints.health,
        responses={200: {"model": ServiceHealth}, 503: {"model": ServiceHealth}},
    )
    app.add_api_route(
        READY_PATH,
        endpoints.ready,
        responses={200: {"model": Readiness}, 503: {"model": Readiness}},
    )
    for path, probe in ((HEALTH_PATH, endpoints.health), (READY_PATH, endpoints.ready)):
        app.add_api_route(path, probe, methods=["HEAD"], include_in_schema=False)
    app.add_api_route(
        METRICS_PATH,
        endpoints.metrics,
        response_class=PlainTextResponse,
        responses=error_responses(),
    )


def _lifespan(endpoints: ScanEndpoints) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with endpoints.photos.open():
            yield

    return lifespan

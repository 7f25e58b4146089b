"""The HTTP app of `shelfsight serve`: routes, headers, errors, start and stop."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse

from shelfsight import __version__
from shelfsight.embedding.wire import HEALTH_PATH
from shelfsight.serving.measured import Measured
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.scan_api.context import ScanService
from shelfsight.serving.scan_api.endpoints import ScanEndpoints
from shelfsight.serving.scan_api.health import HealthCheck, ServiceHealth
from shelfsight.serving.scan_api.openapi import FEEDBACK, SCAN, describe, refusals
from shelfsight.serving.scan_api.page import routes
from shelfsight.serving.scan_api.problems import answer_errors
from shelfsight.serving.scan_api.responses import FeedbackAnswer, FoundAnswer, ScanAnswer
from shelfsight.serving.scan_api.security_headers import SecurityHeaders

SCAN_PATH = "/products/orchestrate/quick-scan"
FEEDBACK_PATH = "/products/feedback"
SIMILAR_PATH = "/products/{id}/similar"


def create(service: ScanService) -> FastAPI:
    """Make the app; it serves once its lifespan has begun."""
    health = HealthCheck(service.database, service.embedder)
    endpoints = ScanEndpoints(service, health)
    app = FastAPIOffline(
        title="shelfsight",
        swagger_ui_parameters={"validatorUrl": None},  # which is another host's
        version=__version__,
        lifespan=_lifespan(endpoints, health),
        docs_url=DOCS_PATH,
        redoc_url=None,
    )
    app.add_middleware(SecurityHeaders)
    if service.config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.config.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Measured, metrics=service.metrics)
    _add_routes(app, endpoints)
    app.include_router(routes.router(service))
    answer_errors(app, service.metrics.refused)
    describe(app)
    return app


def _add_routes(app: FastAPI, endpoints: ScanEndpoints) -> None:
    app.add_api_route(
        SCAN_PATH,
        endpoints.scan,
        methods=["POST"],
        openapi_extra=SCAN,
        responses={200: {"model": ScanAnswer}, **refusals(400, 408, 413, 415, 422, 424)},
    )
    app.add_api_route(
        FEEDBACK_PATH,
        endpoints.feedback,
        methods=["POST"],
        status_code=201,
        openapi_extra=FEEDBACK,
        responses={201: {"model": FeedbackAnswer}, **refusals(400, 404, 408, 413, 422)},
    )
    app.add_api_route(
        SIMILAR_PATH,
        endpoints.similar,
        responses={200: {"model": FoundAnswer}, **refusals(404, 422)},
    )
    app.add_api_route(
        HEALTH_PATH,
        endpoints.health,
        responses={200: {"model": ServiceHealth}, 503: {"model": ServiceHealth}},
    )
    app.add_api_route(READY_PATH, endpoints.ready, responses={503: {"description": "Not ready"}})
    app.add_api_route(
        METRICS_PATH,
        endpoints.metrics,
        response_class=PlainTextResponse,
        responses=refusals(),
    )


def _lifespan(endpoints: ScanEndpoints, health: HealthCheck) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with endpoints.photos.open():
            try:
                yield
            finally:
                health.close()

    return lifespan

"""The endpoints of the embedding server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic, perf_counter
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from shelfsight import __version__
from shelfsight.embedding.openai_wire import MODELS_PATH, OPENAI_PATH, OpenAIRequest
from shelfsight.embedding.wire import (
    HEALTH_PATH,
    IMAGE_PATH,
    TEXT_PATH,
    Health,
    ImageRequest,
    TextRequest,
)
from shelfsight.models.specs import ModelSpec
from shelfsight.records import stored_identities
from shelfsight.serving import request_body
from shelfsight.serving.callers import CALLER
from shelfsight.serving.embedding_api import embed_responses
from shelfsight.serving.embedding_api.dynamic_batching import Result
from shelfsight.serving.embedding_api.metrics import EmbeddingMetrics
from shelfsight.serving.embedding_api.model_batchers import (
    EmbeddingResults,
    ModelBatchers,
    allowed_dimensions,
)
from shelfsight.serving.fair_capacity import FairCapacity, FullError
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.refusals import BusyError, RequestRefusedError, UnknownModelError

Body = TypeVar("Body", bound=BaseModel)


class EmbeddingEndpoints:
    """The endpoints of one server, which share its batchers, limits and metrics."""

    def __init__(
        self,
        batchers: ModelBatchers,
        limits: ServerLimits,
        metrics: EmbeddingMetrics,
        device: str,
    ) -> None:
        self._batchers = batchers
        self._limits = limits
        self._metrics = metrics
        self._device = device
        self._bodies = FairCapacity(limits.waiting_bytes)
        metrics.stores.watch_bytes("bodies", lambda: self._bodies.held, self._bodies.capacity)
        self._started = monotonic()

    async def embed_image(self, request: Request) -> Response:
        """Embed one picture (`image_data`) or several (`images`), given as files in base64.

        An `instruction` has no effect, because no image model uses one.
        """
        async with self._read_body(request, ImageRequest) as body:
            if (body.image_data is None) == (body.images is None):
                raise RequestRefusedError("bad_request", "give either image_data or images")
            pictures = [body.image_data] if body.image_data is not None else body.images or []
            started = perf_counter()
            embedded = await self._embed_pictures(pictures)
            usage = {"images": len(pictures)}
            return _embed_response(embedded, body, self._batchers.image, usage, started)

    async def embed_text(self, request: Request) -> Response:
        """Embed texts: as search queries if there is an `instruction`, else as documents."""
        async with self._read_body(request, TextRequest) as body:
            if not body.normalize:
                raise RequestRefusedError(
                    "bad_request", "normalize: vectors are always of unit length"
                )
            started = perf_counter()
            embedded = await self._embed_texts(body.texts, body.instruction)
            usage = {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens}
            return _embed_response(embedded, body, self._batchers.text, usage, started)

    async def openai(self, request: Request) -> Response:
        """Embed as OpenAI's endpoint does. With `"modality": "image"`, inputs are data URIs.

        If one of the inputs cannot be embedded, the whole request is refused, with status 400.
        """
        async with self._read_body(request, OpenAIRequest) as body:
            image = body.modality == "image"
            spec: ModelSpec = self._batchers.image if image else self._batchers.text
            _check_model(body.model, spec)
            width = _width(body.dimensions, spec)
            items = [body.input] if isinstance(body.input, str) else body.input
            embedded = await (
                self._embed_pictures(items) if image else self._embed_texts(items, None)
            )
            results = embed_responses.truncate(embedded.results, width)
            response = embed_responses.openai_response(
                embed_responses.require_vectors(results),
                body.encoding_format or "float",
                model=spec.identity,
                tokens=embedded.tokens,
            )
            return embed_responses.json_response(response)

    async def models(self) -> Response:
        """List the models as OpenAI's endpoint does: that of texts first."""
        listed = [
            {"id": spec.name, "object": "model", "created": 0, "owned_by": "shelfsight"}
            for spec in (self._batchers.text, self._batchers.image)
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def health(self) -> Response:
        """Report the models, and whether their workers can be used: 200, or else 503."""
        problems = self._batchers.problems()
        health = Health(
            status="unhealthy" if problems else "healthy",
            models=self._batchers.models,
            device=self._device,
            uptime=round(monotonic() - self._started, 3),
            version=__version__,
            problems=problems,
        )
        return embed_responses.json_response(health, 503 if problems else 200)

    async def ready(self) -> Response:
        """Report whether requests are served now: 200, or else 503 and what is wrong."""
        problems = await self._batchers.readiness_problems()
        content = {"ready": not problems, "problems": problems}
        return JSONResponse(content, 503 if problems else 200)

    async def metrics(self) -> Response:
        """Report all metrics in the text format of Prometheus."""
        return Response(await self._metrics.scrape(), media_type="text/plain; version=0.0.4")

    async def root(self) -> Response:
        """Return the list of endpoints."""
        endpoints = {
            f"POST {IMAGE_PATH}": "one picture (image_data) or several (images), in base64",
            f"POST {TEXT_PATH}": "texts",
            f"POST {OPENAI_PATH}": "the same for clients of OpenAI",
            f"GET {MODELS_PATH}": "the models, for clients of OpenAI",
            f"GET {HEALTH_PATH}": "models, and whether their workers are well",
            f"GET {READY_PATH}": "whether requests are served now",
            f"GET {METRICS_PATH}": "for Prometheus",
            f"GET {DOCS_PATH}": "every shape",
        }
        name = "shelfsight embedding server"
        return JSONResponse({"name": name, "version": __version__, "endpoints": endpoints})

    @asynccontextmanager
    async def _read_body(self, request: Request, model: type[Body]) -> AsyncIterator[Body]:
        """Read a body, and reserve capacity for its bytes until the response was made."""
        try:
            async with self._bodies.reserve(CALLER.get()) as room:
                yield await request_body.read(request, self._limits, room, model)
        except FullError:
            raise BusyError(1) from None

    async def _embed_pictures(self, pictures: Sequence[str]) -> EmbeddingResults:
        _require_items(pictures)
        embedded = await self._batchers.embed_pictures(pictures)
        self._count("image", embedded.results)
        return embedded

    async def _embed_texts(self, texts: Sequence[str], instruction: str | None) -> EmbeddingResults:
        _require_items(texts)
        embedded = await self._batchers.embed_texts(texts, instruction)
        self._count("text", embedded.results)
        return embedded

    def _count(self, model: str, results: Sequence[Result]) -> None:
        self._metrics.items.labels(model).inc(len(results))
        for error in embed_responses.item_errors(results):
            self._metrics.errors.labels(error.kind).inc()


def _embed_response(
    embedded: EmbeddingResults,
    body: ImageRequest | TextRequest,
    spec: ModelSpec,
    usage: dict[str, int],
    started: float,
) -> Response:
    response = embed_responses.embed_response(
        embedded.results, body.encoding_format, dimension=spec.column, model=spec.identity
    )
    response.usage = usage
    response.processing_time_ms = round(1000 * (perf_counter() - started), 3)
    return embed_responses.json_response(response, embed_responses.status_of(embedded.results))


def _require_items(items: Sequence[str]) -> None:
    if not items:
        raise RequestRefusedError("no_items", "there is nothing to embed")


def _check_model(requested: str | None, spec: ModelSpec) -> None:
    if requested not in (None, spec.name, *stored_identities(spec.identity)):
        raise UnknownModelError(
            "model_not_found", f"this server has no such model for this; it has {spec.name}"
        )


def _width(requested: int | None, spec: ModelSpec) -> int:
    allowed = allowed_dimensions(spec)
    if requested is None:
        return spec.column
    if requested not in allowed:
        what = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else str(allowed[0])
        raise RequestRefusedError("bad_dimensions", f"dimensions: {spec.name} gives {what}")
    return requested

"""What each endpoint of the embedding server does with a request."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic, perf_counter
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from shelfsight import __version__
from shelfsight.embedding.model_specs import ModelSpec
from shelfsight.embedding.openai_wire import OPENAI_PATH, OpenAIRequest
from shelfsight.embedding.wire import (
    HEALTH_PATH,
    IMAGE_PATH,
    TEXT_PATH,
    Health,
    ImageRequest,
    TextRequest,
)
from shelfsight.serving import request_body
from shelfsight.serving.embedding_api import answers
from shelfsight.serving.embedding_api.dynamic_batching import Result
from shelfsight.serving.embedding_api.metrics import Metrics
from shelfsight.serving.embedding_api.model_batchers import Embeddings, Outcome, dimensions_allowed
from shelfsight.serving.limits import CapacityLimit, FullError, Limits
from shelfsight.serving.paths import DOCS_PATH, METRICS_PATH, READY_PATH
from shelfsight.serving.refusals import BusyError, ModelUnknownError, RequestRefusedError

Shape = TypeVar("Shape", bound=BaseModel)


class Endpoints:
    """The endpoints of one server, which share its lanes, limits and metrics."""

    def __init__(
        self, embeddings: Embeddings, limits: Limits, metrics: Metrics, device: str
    ) -> None:
        self._embeddings = embeddings
        self._limits = limits
        self._metrics = metrics
        self._device = device
        self._bodies = CapacityLimit(limits.waiting_bytes)
        self._since = monotonic()

    async def embed_image(self, request: Request) -> Response:
        """Embed one picture (`image_data`) or several (`images`), files in base64.

        An `instruction` has no effect: no image model takes one.
        """
        async with self._received(request, ImageRequest) as sent:
            if (sent.image_data is None) == (sent.images is None):
                raise RequestRefusedError("bad_request", "give either image_data or images")
            pictures = [sent.image_data] if sent.image_data is not None else sent.images or []
            began = perf_counter()
            outcome = await self._pictures(pictures)
            usage = {"images": len(pictures)}
            return _embed_answer(outcome, sent, self._embeddings.image, usage, began)

    async def embed_text(self, request: Request) -> Response:
        """Embed texts; with an `instruction` they ask, without one they describe."""
        async with self._received(request, TextRequest) as sent:
            if not sent.normalize:
                raise RequestRefusedError(
                    "bad_request", "normalize: vectors are always of unit length"
                )
            began = perf_counter()
            outcome = await self._texts(sent.texts, sent.instruction)
            usage = {"prompt_tokens": outcome.tokens, "total_tokens": outcome.tokens}
            return _embed_answer(outcome, sent, self._embeddings.text, usage, began)

    async def openai(self, request: Request) -> Response:
        """Embed as OpenAI's endpoint does; pictures are data URIs with `"modality": "image"`."""
        async with self._received(request, OpenAIRequest) as sent:
            image = sent.modality == "image"
            spec: ModelSpec = self._embeddings.image if image else self._embeddings.text
            _check_model(sent.model, spec)
            width = _width(sent.dimensions, spec)
            items = [sent.input] if isinstance(sent.input, str) else sent.input
            outcome = await (self._pictures(items) if image else self._texts(items, None))
            results = answers.shorten(outcome.results, width)
            response = answers.openai_response(
                results, sent.encoding_format, model=_identity(spec), tokens=outcome.tokens
            )
            return answers.json_answer(response, answers.status_of(results))

    async def health(self) -> Response:
        """Tell which models are served, and whether their workers are well: 200, or 503."""
        problems = self._embeddings.problems()
        health = Health(
            status="unhealthy" if problems else "healthy",
            models=self._embeddings.models,
            device=self._device,
            uptime=round(monotonic() - self._since, 3),
            version=__version__,
            problems=problems,
        )
        return answers.json_answer(health, 503 if problems else 200)

    async def ready(self) -> Response:
        """Whether requests are served now: 200, or 503."""
        problems = self._embeddings.problems()
        return JSONResponse({"ready": not problems}, 503 if problems else 200)

    async def metrics(self) -> Response:
        """Everything that is counted and timed, for Prometheus."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def root(self) -> Response:
        """List the endpoints."""
        endpoints = {
            f"POST {IMAGE_PATH}": "one picture (image_data) or several (images), in base64",
            f"POST {TEXT_PATH}": "texts",
            f"POST {OPENAI_PATH}": "the same for clients of OpenAI",
            f"GET {HEALTH_PATH}": "models, and whether their workers are well",
            f"GET {READY_PATH}": "whether requests are served now",
            f"GET {METRICS_PATH}": "for Prometheus",
            f"GET {DOCS_PATH}": "every shape",
        }
        name = "shelfsight embedding server"
        return JSONResponse({"name": name, "version": __version__, "endpoints": endpoints})

    @asynccontextmanager
    async def _received(self, request: Request, shape: type[Shape]) -> AsyncIterator[Shape]:
        """Read a body, and hold room for its bytes until it is answered."""
        size = request_body.declared_size(request, self._limits)
        try:
            with self._bodies.reserve(size):
                yield await request_body.read(request, self._limits, shape)
        except FullError:
            raise BusyError(1) from None

    async def _pictures(self, pictures: Sequence[str]) -> Outcome:
        _check_some(pictures)
        outcome = await self._embeddings.pictures(pictures)
        self._count("image", outcome.results)
        return outcome

    async def _texts(self, texts: Sequence[str], instruction: str | None) -> Outcome:
        _check_some(texts)
        outcome = await self._embeddings.texts(texts, instruction)
        self._count("text", outcome.results)
        return outcome

    def _count(self, model: str, results: Sequence[Result]) -> None:
        self._metrics.items.labels(model).inc(len(results))
        for error in answers.item_errors(results):
            self._metrics.errors.labels(error.kind).inc()


def _embed_answer(
    outcome: Outcome,
    sent: ImageRequest | TextRequest,
    spec: ModelSpec,
    usage: dict[str, int],
    began: float,
) -> Response:
    response = answers.embed_response(
        outcome.results, sent.encoding_format, dimension=spec.column, model=_identity(spec)
    )
    response.usage = usage
    response.processing_time_ms = round(1000 * (perf_counter() - began), 3)
    return answers.json_answer(response, answers.status_of(outcome.results))


def _identity(spec: ModelSpec) -> str:
    return f"{spec.name}@{spec.revision}"


def _check_some(items: Sequence[str]) -> None:
    if not items:
        raise RequestRefusedError("no_items", "there is nothing to embed")


def _check_model(asked: str | None, spec: ModelSpec) -> None:
    if asked not in (None, spec.name, _identity(spec)):
        raise ModelUnknownError(
            "model_not_found", f"this server has no such model for this; it has {spec.name}"
        )


def _width(asked: int | None, spec: ModelSpec) -> int:
    allowed = dimensions_allowed(spec)
    if asked is None:
        return spec.column
    if asked not in allowed:
        what = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else str(allowed[0])
        raise RequestRefusedError("bad_dimensions", f"dimensions: {spec.name} gives {what}")
    return asked

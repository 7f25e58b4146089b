"""Prometheus metrics of `shelfsight serve`: scans, their steps, requests, errors by kind."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from shelfsight.ports import Advanced, Embedder, ignore
from shelfsight.postgres.connection import Query, Rows, Transactions, Work
from shelfsight.records import Failure, ModelPair, ModelPicture, PictureFormat, Vector
from shelfsight.serving.store_metrics import StoreMetrics
from shelfsight.telemetry.traces import span

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_SPANS = {"model": "embed", "sql": "search"}
"""The spans of steps that have another name as a metric."""

Result = TypeVar("Result")


class ScanMetrics:
    """The metrics of one process, in a separate registry; `scrape` is what `/metrics` shows."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.scrape: Callable[[], Awaitable[bytes]] = self._scrape_own
        self.requests = Counter(
            "shelfsight_requests", "Requests answered", ("path", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "shelfsight_request_seconds",
            "From a request to its answer",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._scans = Counter(
            "shelfsight_scans", "Scans answered", ("query", "confidence"), registry=registry
        )
        self._steps = Histogram(
            "shelfsight_scan_step_seconds",
            "One step of a scan: fetch, decode, model, sql",
            ("step",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._errors = Counter(
            "shelfsight_errors", "Requests and photos refused", ("kind",), registry=registry
        )
        self.stores = StoreMetrics(registry)

    def count_scan(self, query: str, confidence: str) -> None:
        """Count a scan; `confidence` is `none` if there was no match."""
        self._scans.labels(query, confidence).inc()

    def count_error(self, kind: str) -> None:
        """Count a request or a photo that was refused."""
        self._errors.labels(kind).inc()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record how long a step of a scan takes, as a metric and a span: the context's time."""
        started = perf_counter()
        try:
            with span(_SPANS.get(name, name)):
                yield
        finally:
            self._steps.labels(name).observe(perf_counter() - started)

    def text(self) -> bytes:
        """Return the metrics of this process in the text format of Prometheus."""
        return generate_latest(self._registry)

    async def _scrape_own(self) -> bytes:
        return self.text()


class TimedEmbedder:
    """A `ports.Embedder` that records the duration of its calls as the step `model`."""

    def __init__(self, embedder: Embedder, metrics: ScanMetrics) -> None:
        self._embedder = embedder
        self._metrics = metrics

    @property
    def models(self) -> ModelPair:
        """The identities of the two models."""
        return self._embedder.models

    @property
    def picture_format(self) -> PictureFormat:
        """The size and the resampling filter of pictures for `embed_images`."""
        return self._embedder.picture_format

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed pictures of shape (side, side, 3) as unit vectors of shape (768,)."""
        with self._metrics.step("model"):
            return self._embedder.embed_images(pictures, advanced=advanced)

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed texts as unit vectors (1024,); `query` marks texts that are searched for."""
        with self._metrics.step("model"):
            return self._embedder.embed_texts(texts, query=query, advanced=advanced)

    def close(self) -> None:
        """Close the embedder."""
        self._embedder.close()


class TimedDatabase:
    """A `postgres.connection.Transactions` that records how long its calls take.

    Reads are recorded as the step `sql`, and writes as the step `learn`. Writes come from one
    thread at a time, and use the other database `learning`. So the next scan can use the connection
    of the pool that was used last, which answers fastest.
    """

    def __init__(
        self, database: Transactions, learning: Transactions, metrics: ScanMetrics
    ) -> None:
        self._database = database
        self._learning = learning
        self._metrics = metrics

    @property
    def vector_set(self) -> str:
        """The set of vectors that is read; see `Database.vector_set`."""
        return self._database.vector_set

    def run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        """Call `work` in one transaction; see `Database.run`."""
        if read_only:
            with self._metrics.step("sql"):
                return self._database.run(work, read_only=True, patient=patient)
        with self._metrics.step("learn"):
            return self._learning.run(work, patient=patient)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Run a query in one round trip; see `Database.ask`."""
        with self._metrics.step("sql"):
            return self._database.ask(query, prepare=prepare)

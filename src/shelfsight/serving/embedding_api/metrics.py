"""Prometheus metrics of the embedding server: requests, items, batches, queues, errors."""

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from shelfsight.serving.store_metrics import StoreMetrics

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class EmbeddingMetrics:
    """The metrics of one process, in a separate registry; the label `lane` is `image` or `text`.

    `scrape` is what `/metrics` shows.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.scrape: Callable[[], Awaitable[bytes]] = self._scrape_own
        self.stores = StoreMetrics(registry)
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
        self.items = Counter(
            "shelfsight_items", "Items embedded or refused", ("lane",), registry=registry
        )
        self.errors = Counter(
            "shelfsight_errors", "Items and requests refused", ("kind",), registry=registry
        )
        self._batch_size = Histogram(
            "shelfsight_batch_size", "Items a batch", ("lane",), buckets=_SIZES, registry=registry
        )
        self._batch_seconds = Histogram(
            "shelfsight_batch_seconds",
            "A batch in the model",
            ("lane",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._depth = Gauge(
            "shelfsight_queue_depth", "Items that wait for the model", ("lane",), registry=registry
        )

    def batch_observer(self, model: str) -> Callable[[int, float], None]:
        """Return a function that records the size and the seconds of each batch of a model."""
        sizes, seconds = self._batch_size.labels(model), self._batch_seconds.labels(model)

        def observe(size: int, duration: float) -> None:
            sizes.observe(size)
            seconds.observe(duration)

        return observe

    def watch_queue(self, model: str, queue_length: Callable[[], int]) -> None:
        """Report the length of a model's queue; `queue_length` is called when metrics are read."""
        self._depth.labels(model).set_function(queue_length)

    def text(self) -> bytes:
        """Return the metrics of this process in the text format of Prometheus."""
        return generate_latest(self._registry)

    async def _scrape_own(self) -> bytes:
        return self.text()

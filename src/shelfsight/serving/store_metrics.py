"""Prometheus metrics of what a server keeps in memory: the size and the bound of each store."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from shelfsight.serving.connections import ConnectionTable


class StoreMetrics:
    """Gauges by `store`, read when the metrics are; and the memory of the process, on Linux.

    A store is measured in bytes or, if its items are small or of one size, in items.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)

        def gauge(name: str, help_: str) -> Gauge:
            return Gauge(f"shelfsight_store_{name}", help_, ("store",), registry=registry)

        self._bytes = gauge("bytes", "Bytes that a store takes")
        self._max_bytes = gauge("max_bytes", "Bytes that a store may take")
        self._items = gauge("items", "Items in a store")
        self._max_items = gauge("max_items", "Items that a store may have")

    def watch_connections(self, connections: ConnectionTable) -> None:
        """Report the open connections."""
        self.watch_items("connections", connections.__len__, connections.capacity)

    def watch_bytes(self, store: str, size: Callable[[], int], limit: int) -> None:
        """Report a store that takes `size()` of at most `limit` bytes."""
        self._bytes.labels(store).set_function(size)
        self._max_bytes.labels(store).set(limit)

    def watch_items(self, store: str, count: Callable[[], int], limit: int) -> None:
        """Report a store that has `count()` of at most `limit` items."""
        self._items.labels(store).set_function(count)
        self._max_items.labels(store).set(limit)

"""Makes a trace of each page of a backfill or watch: read, fetch, embed, store."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from threading import Lock
from time import time_ns

from cachetools import LRUCache

from shelfsight.backfill.leases import Checkpoint
from shelfsight.backfill.pipeline import Pipeline
from shelfsight.backfill.ports import Catalog, ImageFetcher, VectorStore
from shelfsight.backfill.runs import WHOLE, KeyRange, Partitioning
from shelfsight.records import (
    Due,
    EmbeddedProduct,
    FetchedProduct,
    ModelPair,
    Product,
    Selection,
    VectorCounts,
)
from shelfsight.telemetry.traces import Trace, is_on, new_trace

MAX_PRODUCTS = 20_000
"""Products whose pages are on their way, at the most; of older ones the trace is given up."""


def traced(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with a trace of each page, if traces are on.

    The parts `fetch`, `embed` and `store` are made where the ports are called, so the core knows
    nothing of traces. A page that is not stored, because another worker took it, has no trace.
    """
    if not is_on():
        return pipeline
    traces = _PageTraces()

    def embed(page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
        with traces.part("embed", [one.product for one in page]):
            return pipeline.embed(page)

    return replace(
        pipeline,
        catalog=_TracedCatalog(pipeline.catalog, traces),
        fetcher=_TracedFetcher(pipeline.fetcher, traces),
        embed=embed,
        store=_TracedStore(pipeline.store, traces),
    )


class _PageTraces:
    """The traces of the pages on their way, by the ids of their products."""

    def __init__(self) -> None:
        self._traces: LRUCache[str, Trace] = LRUCache(MAX_PRODUCTS)
        self._reads: LRUCache[str, tuple[int, int]] = LRUCache(MAX_PRODUCTS)
        self._lock = Lock()

    def add_read(self, batch: Sequence[Product], began_ns: int) -> None:
        """Remember when the products of a batch were read."""
        with self._lock:
            self._reads.update(dict.fromkeys((one.id for one in batch), (began_ns, time_ns())))

    def begin(self, page: Sequence[Product]) -> None:
        """Begin the trace of a page with the reading of its batch."""
        with self._lock:
            reads = [read for one in page if (read := self._reads.pop(one.id, None))]
        began = reads[0][0] if reads else None
        trace = new_trace("backfill.page", began, **{"shelfsight.products": len(page)})
        if reads:
            trace.add_past("read", *reads[0])
        with self._lock:
            self._traces.update(dict.fromkeys((one.id for one in page), trace))

    def part(self, name: str, page: Sequence[Product]) -> AbstractContextManager[object]:
        """Return a context that is a part of the trace of a page."""
        with self._lock:
            trace = next((self._traces[one.id] for one in page if one.id in self._traces), None)
        return nullcontext() if trace is None else trace.part(name)

    def end(self, page: Sequence[Product]) -> None:
        """End the trace of a page, because it is stored."""
        with self._lock:
            found = {self._traces.pop(one.id, None) for one in page}
        for trace in found - {None}:
            if trace is not None:
                trace.end()


class _TracedCatalog:
    """A `Catalog` that notes when each batch was read."""

    def __init__(self, catalog: Catalog, traces: _PageTraces) -> None:
        self._catalog = catalog
        self._traces = traces

    def check(self) -> None:
        self._catalog.check()

    def remember(self) -> None:
        self._catalog.remember()

    def forget(self) -> None:
        self._catalog.forget()

    def due(self, selection: Selection) -> Due:
        return self._catalog.due(selection)

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        return self._catalog.partition(selection, size, limit)

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        began = time_ns()
        for batch in self._catalog.pages(selection, size, within):
            self._traces.add_read(batch, began)
            yield batch
            began = time_ns()


class _TracedFetcher:
    """An `ImageFetcher` whose calls begin the traces."""

    def __init__(self, fetcher: ImageFetcher, traces: _PageTraces) -> None:
        self._fetcher = fetcher
        self._traces = traces

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        self._traces.begin(page)
        with self._traces.part("fetch", page):
            return self._fetcher.fetch(page)

    def close(self) -> None:
        self._fetcher.close()


class _TracedStore:
    """A `VectorStore` whose calls end the traces."""

    def __init__(self, store: VectorStore, traces: _PageTraces) -> None:
        self._store = store
        self._traces = traces

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        self._store.require(models, replace=replace)

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        products = [one.product for one in page]
        with self._traces.part("store", products):
            saved = self._store.save(page, models, checkpoint)
        self._traces.end(products)
        return saved

    def count(self) -> VectorCounts:
        return self._store.count()

    def recombine(self) -> int:
        return self._store.recombine()

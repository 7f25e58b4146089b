"""A cache of embedding results, so that each picture or text is embedded only once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

from shelfsight.records import Failure, Vector

PAGES_IN_FLIGHT = 2
"""How many pages are embedded at the same time. A server that finishes a page has the next page
already."""

Item = TypeVar("Item")
Result = Vector | Failure
Results = dict[str, Result]
"""Results of embedding, by the keys of the items."""


class EmbeddingCache(Generic[Item]):
    """An LRU cache of embedding results, for any number of threads.

    A key stands for the content of an item. If a page asks for an item that is being embedded for
    another page, it waits for that result. The cache keeps vectors and lasting failures. A failure
    that may pass (`retryable`) is not kept, so the next page tries again.
    """

    def __init__(
        self, name: str, embed: Callable[[Sequence[Item]], Sequence[Result]], size: int
    ) -> None:
        self._embed = embed
        self._pool = ThreadPoolExecutor(PAGES_IN_FLIGHT, thread_name_prefix=f"embed {name}")
        self._results: LRUCache[str, Result] = LRUCache(size)
        self._in_flight: dict[str, Future[Results]] = {}
        self._lock = Lock()

    def get(self, key: str) -> Result | None:
        """Return the cached result of a key; None if there is none."""
        with self._lock:
            return self._results.get(key)

    def start(self, items: Mapping[str, Item]) -> list[Future[Results]]:
        """Start embedding the items that are neither cached nor being embedded.

        Returns futures. Together they hold the results of all `items`, and possibly of other items.
        """
        with self._lock:
            cached = {key: self._results[key] for key in items if key in self._results}
            new = {
                key: item
                for key, item in items.items()
                if key not in cached and key not in self._in_flight
            }
            if new:
                within = copy_context()  # the trace of the page
                computed = self._pool.submit(within.run, self._compute, new)
                self._in_flight |= dict.fromkeys(new, computed)
            in_flight = dict.fromkeys(self._in_flight[key] for key in items if key not in cached)
            return [_done(cached), *in_flight]

    def close(self) -> None:
        """End the threads. A thread that waits for a server ends when its embedder is closed."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _compute(self, new: Mapping[str, Item]) -> Results:
        results: Results = {}
        try:
            results = dict(zip(new, self._embed([*new.values()]), strict=True))
            return results
        finally:
            with self._lock:
                for key in new:
                    del self._in_flight[key]
                self._results.update(
                    (key, result) for key, result in results.items() if _lasts(result)
                )


def wait_for(futures: Iterable[Future[Results]]) -> Results:
    """Wait for all futures that `EmbeddingCache.start` returned; return all their results."""
    return {key: result for future in futures for key, result in future.result().items()}


def _lasts(result: Result) -> bool:
    return not (isinstance(result, Failure) and result.retryable)


def _done(results: Results) -> Future[Results]:
    future: Future[Results] = Future()
    future.set_result(results)
    return future

"""The only concurrency in the backfill's path: a stage does several items at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from threading import Event, Lock, Semaphore, Thread
from time import monotonic
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

STUCK = 1.0
"""Seconds after which an item may count as stuck: more than a page of pictures mostly takes where
no host hangs, much less than the timeouts of one that does."""

_GLANCE = 0.1
"""Seconds between two looks at what is stuck, and whether to stop."""


@dataclass(frozen=True, slots=True)
class _End:
    """Upstream is through after `count` items, or raised `error`."""

    count: int
    error: BaseException | None


def map_concurrently(
    function: Callable[[In], Out],
    upstream: Iterable[In],
    *,
    workers: int,
    max_workers: int = 0,
    stop: Event | None = None,
) -> Iterator[Out]:
    """Apply `function` to `workers` items at a time, in threads; yield each result as it comes.

    An item takes its place before upstream is asked for it, and has it until the caller is done
    with its result: asks for the next. One that is stuck gives its place to another, while no more
    than `max_workers` are at work: one that has taken more than `STUCK` seconds, where a later one
    is through, or nothing has come for as long.

    What `function` raises is raised here; what upstream raises, too, after the items before it.
    Once `stop` is set nothing more is given. Closing the iterator ends its threads as soon as
    their items in hand are done.
    """
    ready: Queue[Future[Out] | _End] = Queue()
    room = _Slots(workers, max(max_workers, workers))
    pool = ThreadPoolExecutor(max(max_workers, workers), thread_name_prefix=_name(function))
    begin = partial(_begin, lambda item: pool.submit(function, item), upstream, ready, room)
    Thread(target=begin, name=f"before {_name(function)}", daemon=True).start()
    given, end = 0, None
    since = monotonic()
    try:
        while end is None or given < end.count:
            room.pass_stuck(starving=monotonic() - since > STUCK)
            got = _next(ready)
            if stop is not None and stop.is_set():
                return
            if got is None:
                continue
            if isinstance(got, _End):
                end = got
                continue
            yield got.result()
            room.free(got)
            given += 1
            since = monotonic()
        if end.error is not None:
            raise end.error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        room.close()


def _next(ready: "Queue[Future[Out] | _End]") -> Future[Out] | _End | None:
    with suppress(Empty):
        return ready.get(timeout=_GLANCE)
    return None


class _Slots:
    """Places for `workers` items; up to `max_workers` where some are stuck."""

    def __init__(self, workers: int, max_workers: int) -> None:
        self._places = Semaphore(workers)
        self._more = max_workers - workers
        self._at_work: dict[Future[Any], tuple[int, float]] = {}
        self._begun, self._newest = 0, 0
        self._is_closed = False
        self._lock = Lock()

    def wait(self) -> bool:
        """Wait for a place, for what is about to be begun; False where nothing more is to be."""
        self._places.acquire()
        return not self._is_closed

    def begin(self, future: Future[Any]) -> None:
        """It is at work in that place."""
        with self._lock:
            self._begun += 1
            self._at_work[future] = self._begun, monotonic()

    def free(self, future: Future[Any]) -> None:
        """It is done with, and so is its place, unless another has it."""
        with self._lock:
            number, _ = self._at_work.pop(future, (0, 0))
            if number:
                self._newest = max(self._newest, number)
                self._places.release()
            else:
                self._more += 1

    def pass_stuck(self, *, starving: bool) -> None:
        """Give the places of those that are stuck to others."""
        before = monotonic() - STUCK
        with self._lock:
            stuck = [
                future
                for future, (number, at) in self._at_work.items()
                if at < before and (starving or number < self._newest) and not future.done()
            ]
            for future in stuck[: self._more]:
                del self._at_work[future]
                self._more -= 1
                self._places.release()

    def close(self) -> None:
        """Whoever waits sees that all is over."""
        self._is_closed = True
        self._places.release()


def _begin(
    submit: Callable[[In], Future[Out]],
    upstream: Iterable[In],
    ready: "Queue[Future[Out] | _End]",
    room: _Slots,
) -> None:
    """Begin each item once there is a place for it; whatever ends comes into `ready`."""
    count, error = 0, None
    try:
        items = iter(upstream)
        while room.wait():
            future = submit(next(items))
            room.begin(future)
            future.add_done_callback(ready.put)
            count += 1
    except StopIteration:
        pass
    except BaseException as raised:  # carried to the consumer, who raises it
        error = raised
    finally:
        _close(upstream)
    ready.put(_End(count, error))


def _name(function: Callable[[In], Out]) -> str:
    return getattr(getattr(function, "func", function), "__qualname__", repr(function))


def _close(upstream: Iterable[In]) -> None:
    """End a generator now rather than when it is collected, so that stages before it end too."""
    close = getattr(upstream, "close", None)
    if close is not None:
        close()

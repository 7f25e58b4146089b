"""The only concurrency in the backfill's path: a map over threads that keeps memory flat."""

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

STALLED_SECONDS = 1.0
"""Seconds after which an item may count as stalled.

A page of pictures mostly takes less if no host hangs; timeouts of a hanging host are far longer."""

_POLL_SECONDS = 0.1
"""Seconds between two checks for stalled items and for `stop`."""


@dataclass(frozen=True, slots=True)
class _End:
    """Upstream ended after `count` items, or raised `error`."""

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
    """Apply `function` to `workers` items at a time, in threads; yield results as they come.

    An item takes a slot before upstream is asked for it, and keeps it until the caller is done with
    the result, that is, asks for the next one. So at most `workers` items are in memory.

    A stalled item gives its slot to another one, up to `max_workers` items at work. An item has
    stalled if it takes more than `STALLED_SECONDS` while a later one is done, or while no result
    came for as long.

    An error of `function` is raised here; an error of upstream too, after the results of the items
    before it. Once `stop` is set, nothing more is yielded. Closing the iterator ends the threads as
    soon as their current items are done.
    """
    ready: Queue[Future[Out] | _End] = Queue()
    room = _Slots(workers, max(max_workers, workers))
    pool = ThreadPoolExecutor(max(max_workers, workers), thread_name_prefix=_name(function))
    begin = partial(_submit_all, lambda item: pool.submit(function, item), upstream, ready, room)
    Thread(target=begin, name=f"before {_name(function)}", daemon=True).start()
    given, end = 0, None
    since = monotonic()
    try:
        while end is None or given < end.count:
            room.pass_stalled(starving=monotonic() - since > STALLED_SECONDS)
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
        return ready.get(timeout=_POLL_SECONDS)
    return None


class _Slots:
    """Slots for `workers` items, and for up to `max_workers` if some are stalled."""

    def __init__(self, workers: int, max_workers: int) -> None:
        self._places = Semaphore(workers)
        self._more = max_workers - workers
        self._at_work: dict[Future[Any], tuple[int, float]] = {}
        self._begun, self._newest = 0, 0
        self._is_closed = False
        self._lock = Lock()

    def wait(self) -> bool:
        """Wait for a slot for the next item; return False if no more items are wanted."""
        self._places.acquire()
        return not self._is_closed

    def begin(self, future: Future[Any]) -> None:
        """Record that this item is at work in the slot."""
        with self._lock:
            self._begun += 1
            self._at_work[future] = self._begun, monotonic()

    def free(self, future: Future[Any]) -> None:
        """Free the item's slot, unless it was given to another item before."""
        with self._lock:
            number, _ = self._at_work.pop(future, (0, 0))
            if number:
                self._newest = max(self._newest, number)
                self._places.release()
            else:
                self._more += 1

    def pass_stalled(self, *, starving: bool) -> None:
        """Give the slots of stalled items to others; `starving`: no result came for long."""
        before = monotonic() - STALLED_SECONDS
        with self._lock:
            stalled = [
                future
                for future, (number, at) in self._at_work.items()
                if at < before and (starving or number < self._newest) and not future.done()
            ]
            for future in stalled[: self._more]:
                del self._at_work[future]
                self._more -= 1
                self._places.release()

    def close(self) -> None:
        """Wake whoever waits for a slot, and let them see that all is over."""
        self._is_closed = True
        self._places.release()


def _submit_all(
    submit: Callable[[In], Future[Out]],
    upstream: Iterable[In],
    ready: "Queue[Future[Out] | _End]",
    room: _Slots,
) -> None:
    """Submit each item once there is a slot for it; put results and the end into `ready`."""
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
    """Close a generator now, not when it is garbage-collected, so that earlier stages end too."""
    close = getattr(upstream, "close", None)
    if close is not None:
        close()

"""Runs a function over items in several threads, with a bounded number of items in memory."""

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

Most pages of pictures take less if no host hangs. Timeouts for a hanging host are far longer."""

_POLL_SECONDS = 0.1
"""Seconds between two checks for stalled items and for the `stop` event."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the input: `count` items were read, then it was exhausted or raised `error`."""

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
    """Apply `function` to `workers` items at a time, in threads; yield each result as soon as done.

    Results may come in another order than the items. An item takes a slot before it is read from
    `upstream`. It keeps the slot until the caller asks for the next result. So at most `workers`
    items are in memory, unless some are stalled.

    A stalled item gives its slot to another item, as long as at most `max_workers` items are being
    processed. An item is stalled if it has taken more than `STALLED_SECONDS`, and either a later
    item is done or no result has come for that long.

    An error raised by `function` is raised here. An error raised by `upstream` is raised here too,
    after the results of the items that were read before it. Once `stop` is set, nothing more is
    yielded. Closing the iterator ends the threads as soon as their current items are done.
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
    """Slots for `workers` items, and for up to `max_workers` items while some are stalled."""

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
        """Record that the processing of this item has begun, in a slot that `wait` waited for."""
        with self._lock:
            self._begun += 1
            self._at_work[future] = self._begun, monotonic()

    def free(self, future: Future[Any]) -> None:
        """Free the item's slot, unless `pass_stalled` has given the slot to another item."""
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
        """Wake the thread that waits for a slot; `wait` then returns False."""
        self._is_closed = True
        self._places.release()


def _submit_all(
    submit: Callable[[In], Future[Out]],
    upstream: Iterable[In],
    ready: "Queue[Future[Out] | _End]",
    room: _Slots,
) -> None:
    """Submit each item once there is a slot; put its result, and finally the end, in `ready`."""
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
    except BaseException as raised:  # passed to the consumer, which raises it
        error = raised
    finally:
        _close(upstream)
    ready.put(_End(count, error))


def _name(function: Callable[[In], Out]) -> str:
    return getattr(getattr(function, "func", function), "__qualname__", repr(function))


def _close(upstream: Iterable[In]) -> None:
    """Close a generator now instead of at garbage collection, to end the earlier stages too."""
    close = getattr(upstream, "close", None)
    if close is not None:
        close()

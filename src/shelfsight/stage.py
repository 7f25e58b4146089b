"""The only concurrency in the backfill's path: a stage runs beside the one before it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from queue import Queue
from threading import Event, Semaphore, Thread
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

STUCK = 5.0
"""Seconds for which an item is waited for before others are begun beside it: more than a page of
pictures takes where no host hangs, less than the timeouts of one that does."""


class _End(Generic[In]):
    """Closes a queue: upstream is through, or raised `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def stage(
    function: Callable[[In], Out],
    upstream: Iterable[In],
    *,
    depth: int = 1,
    stop: Event | None = None,
) -> Iterator[Out]:
    """Apply `function` here while `upstream` runs ahead in a thread, at most `depth` items.

    The one that upstream is making counts: it is not begun before there is room for it. Whatever
    upstream raises is raised here, after the items before it. Once `stop` is set no further item
    is begun; the one in hand is finished and given out. Closing the iterator ends the thread as
    soon as its item in hand is done.
    """
    queue: Queue[In | _End[In]] = Queue()
    closed = Event()
    room = Semaphore(depth)
    run_ahead = partial(_run_ahead, upstream, queue, room, closed)
    Thread(target=run_ahead, name=f"before {_name(function)}", daemon=True).start()
    try:
        while not isinstance(item := queue.get(), _End):
            room.release()
            if stop is not None and stop.is_set():
                return
            yield function(item)
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        room.release()  # for a thread that waits to have the next one made: it can end


def stage_past_stuck(
    function: Callable[[In], Out], upstream: Iterable[In], *, most: int, stop: Event | None = None
) -> Iterator[Out]:
    """As `stage`, one item at a time, until one gets stuck: from then on `most` at a time.

    `function` is called in threads; what it gives, or raises, comes in the order of the items.
    """
    pool = ThreadPoolExecutor(most, thread_name_prefix=_name(function))
    room = Semaphore(1)
    is_wide = False

    def finish(item: Future[Out]) -> Out:
        nonlocal is_wide
        if not is_wide and not wait([item], STUCK).done:
            is_wide = True
            room.release(most - 1)
        result = item.result()
        room.release()
        return result

    try:
        yield from stage(finish, _begun(pool, function, upstream, room), depth=most, stop=stop)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        room.release()  # for a thread that waits to begin the next one: it can end


def _begun(
    pool: ThreadPoolExecutor,
    function: Callable[[In], Out],
    upstream: Iterable[In],
    room: Semaphore,
) -> Iterator[Future[Out]]:
    try:
        for item in upstream:
            room.acquire()
            yield pool.submit(function, item)
    finally:
        _close(upstream)


def _run_ahead(
    upstream: Iterable[In], queue: "Queue[In | _End[In]]", room: Semaphore, closed: Event
) -> None:
    end: _End[In] = _End()
    try:
        items = iter(upstream)
        while room.acquire() and not closed.is_set():
            queue.put(next(items))
    except StopIteration:
        pass
    except BaseException as error:  # carried to the consumer, who raises it
        end = _End(error)
    finally:
        _close(upstream)
    queue.put(end)


def _name(function: Callable[[In], Out]) -> str:
    return getattr(getattr(function, "func", function), "__qualname__", repr(function))


def _close(upstream: Iterable[In]) -> None:
    """End a generator now rather than when it is collected, so that stages before it end too."""
    close = getattr(upstream, "close", None)
    if close is not None:
        close()

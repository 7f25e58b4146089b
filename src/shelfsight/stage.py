"""The only concurrency in the backfill's path: a stage runs beside the one before it."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import Empty, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


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

    Whatever upstream raises is raised here, after the items before it. Once `stop` is set no
    further item is begun; the one in hand is finished and given out. Closing the iterator ends
    the thread as soon as its item in hand is done.
    """
    queue: Queue[In | _End[In]] = Queue(maxsize=depth)
    closed = Event()
    run_ahead = partial(_run_ahead, upstream, queue, closed)
    Thread(target=run_ahead, name=f"before {_name(function)}", daemon=True).start()
    try:
        while not isinstance(item := queue.get(), _End):
            if stop is not None and stop.is_set():
                return
            yield function(item)
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        _drain(queue)


def _run_ahead(upstream: Iterable[In], queue: "Queue[In | _End[In]]", closed: Event) -> None:
    end: _End[In] = _End()
    try:
        for item in upstream:
            if closed.is_set():
                break
            queue.put(item)
    except BaseException as error:  # carried to the consumer, who raises it
        end = _End(error)
    finally:
        _close(upstream)
    if not closed.is_set():
        queue.put(end)


def _name(function: Callable[[In], Out]) -> str:
    return getattr(getattr(function, "func", function), "__qualname__", repr(function))


def _close(upstream: Iterable[In]) -> None:
    """End a generator now rather than when it is collected, so that stages before it end too."""
    close = getattr(upstream, "close", None)
    if close is not None:
        close()


def _drain(queue: Queue[In]) -> None:
    """Make room, so that a thread that waits to put its last items can end."""
    try:
        while True:
            queue.get_nowait()
    except Empty:
        pass

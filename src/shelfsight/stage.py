"""The only concurrency in the backfill's path: a stage runs beside the one before it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, Queue
from threading import Event, Semaphore, Thread
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

Placed = tuple[int, Out]
"""An item with its place in the order of those upstream."""

STUCK = 1.0
"""Seconds for which an item is waited for before more are begun beside it: more than a page of
pictures mostly takes where no host hangs, much less than the timeouts of one that does."""

AT_ONCE = 2
"""Items at a time while none is stuck: the next page's pictures are begun before the last picture
of this one has come."""


class _End(Generic[In]):
    """Closes a queue: upstream is through after `count` items, or raised `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.count = 0


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
) -> Iterator[Placed[Out]]:
    """As `stage`, two items at a time, until one gets stuck: from then on `most` at a time.

    `function` is called in threads. What it gives, or raises, comes with its place in upstream's
    order: in that order, but for what would have to wait for one that is stuck (see `in_order`).
    None is begun `most` places after the oldest.
    """
    ready: Queue[Placed[Future[Out]] | _End[In]] = Queue()
    closed, end = Event(), _End[In]()
    room = Semaphore(AT_ONCE)
    pool = ThreadPoolExecutor(most, thread_name_prefix=_name(function))

    def futures() -> Iterator[Future[Out]]:
        try:
            for item in upstream:
                yield pool.submit(function, item)
        finally:
            _close(upstream)

    begin = partial(_begin, futures(), ready, end)
    Thread(target=begin, args=(room, closed), name=f"begin {_name(function)}", daemon=True).start()
    try:
        for place, item in _as_ready(ready, end, room, most):
            if stop is not None and stop.is_set():
                return
            yield place, item.result()
    finally:
        closed.set()
        pool.shutdown(wait=False, cancel_futures=True)
        room.release()  # for a thread that waits to begin the next one: it can end


def placed(function: Callable[[In], Out]) -> Callable[[Placed[In]], Placed[Out]]:
    """The same for an item with its place, which it keeps."""

    def with_place(item: Placed[In]) -> Placed[Out]:
        return item[0], function(item[1])

    with_place.__qualname__ = _name(function)
    return with_place


def in_order(items: Iterable[Placed[Out]]) -> Iterator[Out]:
    """The items without their places, each after all before it."""
    early: dict[int, Out] = {}
    wanted = 0
    try:
        for place, item in items:
            early[place] = item
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1
    finally:
        _close(items)


def _begin(
    futures: Iterator[Future[Out]],
    ready: "Queue[Placed[Future[Out]] | _End[In]]",
    end: _End[In],
    room: Semaphore,
    closed: Event,
) -> None:
    """Take each future as there is room for it; it goes into `ready` when it is through.

    `end` counts those that were begun, and comes last.
    """
    try:
        while room.acquire() and not closed.is_set():
            future = next(futures)
            future.add_done_callback(partial(_hand_on, ready, end.count))
            end.count += 1
    except StopIteration:
        pass
    except BaseException as error:  # carried to the consumer, who raises it
        end.error = error
    finally:
        _close(futures)
    ready.put(end)


def _hand_on(
    ready: "Queue[Placed[Future[Out]] | _End[In]]", place: int, future: Future[Out]
) -> None:
    ready.put((place, future))


class _Arrivals(Generic[Out]):
    """What has come of items that were begun in order; nothing yet of the one at `oldest`."""

    def __init__(self) -> None:
        self.oldest = 0
        self._beyond: set[int] = set()
        self._kept: dict[int, Out] = {}

    @property
    def count(self) -> int:
        """How many have come."""
        return self.oldest + len(self._beyond)

    def add(self, place: int, item: Out) -> int:
        """Keep one that has come; gives by how many places the oldest has moved on."""
        self._kept[place] = item
        self._beyond.add(place)
        before = self.oldest
        while self.oldest in self._beyond:
            self._beyond.remove(self.oldest)
            self.oldest += 1
        return self.oldest - before

    def give(self, *, past_oldest: bool) -> list[Placed[Out]]:
        """Those not given yet, in order: up to the oldest, or past it, too."""
        places = sorted(place for place in self._kept if past_oldest or place < self.oldest)
        return [(place, self._kept.pop(place)) for place in places]


def _as_ready(
    ready: "Queue[Placed[Future[Out]] | _End[In]]", end: _End[In], room: Semaphore, most: int
) -> Iterator[Placed[Future[Out]]]:
    """Give what is through, and make room once the oldest one is; make more if one is stuck."""
    arrivals = _Arrivals[Future[Out]]()
    is_wide = has_ended = False
    while not has_ended or arrivals.oldest < end.count:
        try:
            got = ready.get(timeout=None if is_wide else STUCK)
        except Empty:
            if arrivals.count < end.count:  # it is not upstream that is waited for
                is_wide = True
                _give_room(room, most - AT_ONCE)
        else:
            if isinstance(got, _End):
                has_ended = True
            else:
                _give_room(room, arrivals.add(*got))
        yield from arrivals.give(past_oldest=is_wide)
    if end.error is not None:
        raise end.error


def _give_room(room: Semaphore, places: int) -> None:
    for _ in range(places):
        room.release()


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

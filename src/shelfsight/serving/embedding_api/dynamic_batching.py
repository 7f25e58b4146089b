"""A model's lane: one queue and one thread, in which items of many requests run together."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Generic, TypeVar

from shelfsight.errors import ModelError
from shelfsight.records import Failure, Stage, Vector

Input = TypeVar("Input")
Result = Vector | Failure

_RECENT = 0.2
"""Weight of the latest batch in the mean of how long an item takes."""


class WorkerDownError(Exception):
    """The lane's thread has ended, or hangs in a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Generic[Input]):
    """What a lane does. `run` embeds one batch; it may raise, which is then its items' failure.

    The lane takes up to `window` items that wait; `plan` divides them into batches by their
    places. `ran` hears how many items a batch had and how many seconds it took.
    """

    stage: Stage
    window: int
    plan: Callable[[Sequence[Input]], Iterable[Sequence[int]]]
    run: Callable[[Sequence[Input]], list[Result]]
    ran: Callable[[int, float], None] = lambda _size, _seconds: None


class _Request(Generic[Input]):
    """The items of one request on their way; `answer` is done when each has its result."""

    def __init__(self, items: Sequence[Input]) -> None:
        self.items = items
        self.answer: Future[list[Result]] = Future()
        self._results: dict[int, Result] = {}
        self._wanted: bool | None = None

    def wanted(self) -> bool:
        """Whether the asker still waits; from the first call on it cannot cancel."""
        if self._wanted is None:
            self._wanted = self.answer.set_running_or_notify_cancel()
        return self._wanted

    def settle(self, place: int, result: Result) -> None:
        self._results[place] = result
        if len(self._results) == len(self.items) and not self.answer.done():
            self.answer.set_result([self._results[n] for n in range(len(self.items))])

    def fail(self, error: WorkerDownError) -> None:
        if self.wanted() and not self.answer.done():
            self.answer.set_exception(error)


_Item = tuple[_Request[Input], int]


class DynamicBatcher(Generic[Input]):
    """Runs items in the order they came, as many together as wait. Any thread may submit.

    Nothing is waited for while the model is idle, so batches grow only when there is a queue.
    A batch that raises is halved until the guilty item stands alone (`model_error`); a `ModelError`
    means that the model itself is lost, and ends the lane.
    """

    def __init__(self, work: Work[Input], *, stuck_seconds: float) -> None:
        self._work = work
        self._stuck_seconds = stuck_seconds
        self._queue: deque[_Item[Input]] = deque()
        self._in_hand: list[_Item[Input]] = []
        self._began: float | None = None
        self._seconds_an_item = 0.0
        self._closing = False
        self._reason = ""
        self._changed = Condition()
        self._thread = Thread(target=self._live, name=work.stage.value, daemon=True)
        self._thread.start()

    def submit(self, items: Sequence[Input]) -> Future[list[Result]]:
        """Queue items; the future gives a result for each, in order.

        Raises:
            WorkerDownError: here, or from the future.
        """
        request = _Request(items)
        if not items:
            request.answer.set_result([])
            return request.answer
        with self._changed:
            if problem := self.problem():
                raise WorkerDownError(problem)
            self._queue.extend((request, place) for place in range(len(items)))
            self._changed.notify()
        return request.answer

    def waiting(self) -> int:
        """How many items are queued."""
        return len(self._queue)

    def seconds_ahead(self) -> float:
        """How long what is queued will take, judging by the latest batches."""
        return self.waiting() * self._seconds_an_item

    def problem(self) -> str | None:
        """What is wrong with the worker; None if it is well."""
        began = self._began
        if not self._thread.is_alive():
            return f"the worker {self._work.stage.value} has ended{self._reason}"
        if began is not None and monotonic() - began > self._stuck_seconds:
            seconds = monotonic() - began
            return f"the worker {self._work.stage.value} has hung in a batch for {seconds:.0f} s"
        return None

    def fail_if_down(self) -> None:
        """Let everyone who waits know if the worker has a problem; to be called now and then."""
        if problem := self.problem():
            with self._changed:
                self._fail_all(WorkerDownError(problem))

    def close(self) -> None:
        """Finish what is queued, then end the thread, unless it hangs."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        while self._thread.is_alive() and self.problem() is None:
            self._thread.join(0.1)

    def _live(self) -> None:
        try:
            while window := self._take():
                items = [request.items[place] for request, place in window]
                for places in self._work.plan(items):
                    self._run([window[place] for place in places])
        except ModelError as error:
            self._reason = f": {error}"
        finally:
            ended = f"the worker {self._work.stage.value} has ended{self._reason}"
            with self._changed:
                self._fail_all(WorkerDownError(ended))

    def _take(self) -> list[_Item[Input]]:
        """Wait for items; nothing means that the lane is closed and its queue empty."""
        with self._changed:
            self._in_hand = []
            while not self._in_hand:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    break
                count = min(self._work.window, len(self._queue))
                items = [self._queue.popleft() for _ in range(count)]
                self._in_hand = [item for item in items if item[0].wanted()]
            return self._in_hand

    def _run(self, batch: Sequence[_Item[Input]]) -> None:
        self._began = began = monotonic()
        try:
            results = self._work.run([request.items[place] for request, place in batch])
            settled = list(zip(batch, results, strict=True))
        except ModelError:  # the device is lost: no other item would fare better
            raise
        # Whatever else a model raises belongs to the items it was given: the lane serves the next.
        except Exception as error:
            self._began = None
            self._divide(batch, error)
            return
        self._began = None
        self._note(len(batch), monotonic() - began)
        with self._changed:
            for (request, place), result in settled:
                request.settle(place, result)

    def _divide(self, batch: Sequence[_Item[Input]], error: Exception) -> None:
        if len(batch) > 1:
            half = len(batch) // 2
            self._run(batch[:half])
            self._run(batch[half:])
            return
        request, place = batch[0]
        message = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        with self._changed:
            request.settle(
                place, Failure(stage=self._work.stage, kind="model_error", message=message)
            )

    def _note(self, size: int, seconds: float) -> None:
        self._seconds_an_item += _RECENT * (seconds / size - self._seconds_an_item)
        self._work.ran(size, seconds)

    def _fail_all(self, error: WorkerDownError) -> None:
        for request in {item[0] for item in (*self._in_hand, *self._queue)}:
            request.fail(error)
        self._queue.clear()

"""Dynamic batching: runs the items of many requests together, with one queue and thread per model.

The thread never waits for a batch to become full, so batches grow only while the model is busy.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Generic, TypeVar

from shelfsight.errors import ModelError
from shelfsight.images.decoder.fair_queue import FairQueue
from shelfsight.records import Failure, Stage, Vector

Input = TypeVar("Input")
Result = Vector | Failure

_EMA_WEIGHT = 0.2
"""Weight of the latest batch in the moving average of seconds per item."""


class WorkerDownError(Exception):
    """The worker thread of a batcher has ended, or hangs in a batch."""


def _ignore_batch(_size: int, _seconds: float) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatcherConfig(Generic[Input]):
    """How a batcher forms its batches and runs them.

    The batcher takes up to `window` queued items at a time. `plan` divides them into batches; each
    batch is a sequence of indexes of items. `run` embeds one batch; if it raises an error, the
    items fail. After each batch, `on_batch` is called with the number of items and the seconds that
    the batch took. `stage` is the name of the worker.
    """

    stage: Stage
    window: int
    plan: Callable[[Sequence[Input]], Iterable[Sequence[int]]]
    run: Callable[[Sequence[Input]], list[Result]]
    on_batch: Callable[[int, float], None] = _ignore_batch


class _Request(Generic[Input]):
    """The items of one request; `future` completes once every item has its result."""

    def __init__(self, items: Sequence[Input]) -> None:
        self.items = items
        self.future: Future[list[Result]] = Future()
        self._results: dict[int, Result] = {}
        self._is_running: bool | None = None

    def start(self) -> bool:
        """Mark the request as running, unless it was cancelled; return whether it runs now.

        A running request can no longer be cancelled.
        """
        if self._is_running is None:
            self._is_running = self.future.set_running_or_notify_cancel()
        return self._is_running

    def set_result(self, index: int, result: Result) -> None:
        self._results[index] = result
        if len(self._results) == len(self.items) and not self.future.done():
            self.future.set_result([self._results[n] for n in range(len(self.items))])

    def fail(self, error: WorkerDownError) -> None:
        if self.start() and not self.future.done():
            self.future.set_exception(error)


_Item = tuple[_Request[Input], int]
"""A request, and the index of one of its items."""


class DynamicBatcher(Generic[Input]):
    """Runs queued items in batches, of all callers in turn. Any thread may submit items.

    A batch that raises an error is halved until the faulty item is alone, which then fails with
    `model_error`. A `ModelError`, however, means that the model itself is unusable, and ends the
    worker thread.
    """

    def __init__(self, config: BatcherConfig[Input], *, stuck_seconds: float) -> None:
        self._config = config
        self._stuck_seconds = stuck_seconds
        self._queue: FairQueue[_Item[Input]] = FairQueue()
        self._in_progress: list[_Item[Input]] = []
        self._batch_started: float | None = None
        self._seconds_per_item = 0.0
        self._is_closing = False
        self._reason = ""
        self._changed = Condition()
        self._thread = Thread(target=self._loop, name=config.stage.value, daemon=True)
        self._thread.start()

    def submit(self, items: Sequence[Input], caller: str = "") -> Future[list[Result]]:
        """Queue items of a caller; the returned future has one result per item, in order.

        Raises:
            WorkerDownError: the worker is down now. If it goes down later, the future raises this
                error.
        """
        request = _Request(items)
        if not items:
            request.future.set_result([])
            return request.future
        with self._changed:
            if problem := self.problem():
                raise WorkerDownError(problem)
            self._queue.extend(caller, ((request, index) for index in range(len(items))))
            self._changed.notify()
        return request.future

    def queue_length(self) -> int:
        """Return the number of queued items."""
        return len(self._queue)

    def estimated_wait(self) -> float:
        """Estimate the seconds until the queue is empty, from the speed of recent batches."""
        return self.queue_length() * self._seconds_per_item

    def problem(self) -> str | None:
        """Describe what is wrong with the worker thread; None if nothing is wrong."""
        started = self._batch_started
        if not self._thread.is_alive():
            return self._ended()
        if started is not None and monotonic() - started > self._stuck_seconds:
            seconds = monotonic() - started
            return f"the worker {self._config.stage.value} has hung in a batch for {seconds:.0f} s"
        return None

    def fail_if_down(self) -> None:
        """Fail all pending requests if the worker is down; call it regularly."""
        if problem := self.problem():
            with self._changed:
                self._fail_all(WorkerDownError(problem))

    def close(self) -> None:
        """Finish the queued items and end the thread; does not wait for a thread that hangs."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        while self._thread.is_alive() and self.problem() is None:
            self._thread.join(0.1)

    def _loop(self) -> None:
        try:
            while window := self._next_window():
                items = [request.items[index] for request, index in window]
                for batch in self._config.plan(items):
                    self._run_batch([window[position] for position in batch])
        except ModelError as error:
            self._reason = f": {error}"
        finally:
            with self._changed:
                self._fail_all(WorkerDownError(self._ended()))

    def _next_window(self) -> list[_Item[Input]]:
        """Wait for queued items that were not cancelled; [] once closed and nothing is queued."""
        with self._changed:
            self._in_progress = []
            while not self._in_progress:
                self._changed.wait_for(lambda: self._queue or self._is_closing)
                if not self._queue:
                    break
                count = min(self._config.window, len(self._queue))
                items = [self._queue.pop() for _ in range(count)]
                self._in_progress = [item for item in items if item[0].start()]
            return self._in_progress

    def _run_batch(self, batch: Sequence[_Item[Input]]) -> None:
        self._batch_started = started = monotonic()
        try:
            results = self._config.run([request.items[index] for request, index in batch])
            completed = list(zip(batch, results, strict=True))
        except ModelError:  # the device is lost, so all other items would fail too
            raise
        # Any other error is attributed to the items of the batch, and the worker continues.
        except Exception as error:
            self._batch_started = None
            self._bisect(batch, error)
            return
        self._batch_started = None
        self._record_batch(len(batch), monotonic() - started)
        with self._changed:
            for (request, index), result in completed:
                request.set_result(index, result)

    def _bisect(self, batch: Sequence[_Item[Input]], error: Exception) -> None:
        """Run both halves of a failed batch; a single item fails with the given error."""
        if len(batch) > 1:
            half = len(batch) // 2
            self._run_batch(batch[:half])
            self._run_batch(batch[half:])
            return
        request, index = batch[0]
        message = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        with self._changed:
            request.set_result(
                index, Failure(stage=self._config.stage, kind="model_error", message=message)
            )

    def _record_batch(self, size: int, seconds: float) -> None:
        self._seconds_per_item += _EMA_WEIGHT * (seconds / size - self._seconds_per_item)
        self._config.on_batch(size, seconds)

    def _fail_all(self, error: WorkerDownError) -> None:
        for request in {item[0] for item in (*self._in_progress, *self._queue)}:
            request.fail(error)
        self._queue.clear()

    def _ended(self) -> str:
        return f"the worker {self._config.stage.value} has ended{self._reason}"

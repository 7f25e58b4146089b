"""A pool of decoder processes, in which no picture holds up the others for long."""

import os
from collections import Counter
from collections.abc import Callable, Container
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock, Thread
from typing import Any

from shelfsight.images.decoder.fair_queue import BlockingFairQueue
from shelfsight.images.decoder.limits import BACKFILL, DecoderLimits
from shelfsight.images.decoder.process import DecoderProcess, Outcome
from shelfsight.images.decoder.protocol import DecodeJob, PhotoViews, PictureAndFile, Pictures
from shelfsight.images.photo_box import WHOLE, PhotoBox
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A file to decode, and the future of its pixels, or of its `PhotoViews`."""

    job: DecodeJob
    data: bytes
    caller: str
    future: "Future[Any]" = field(default_factory=Future)


class DecoderPool:
    """Decodes files in up to `size` processes at once; by default one per core.

    Threads and processes are started when they are first needed. A process that a picture has ended
    is replaced. A picture that takes more than its `quick_seconds` leaves its place to the next:
    half as many such pictures as `size` go on beside the others, with a lower priority, and each
    further one is stopped and waits to begin again. One of several places is closed to a caller
    while such pictures of it are not done.
    """

    def __init__(self, limits: DecoderLimits = BACKFILL, size: int | None = None) -> None:
        self._limits = limits
        self._size = size or os.cpu_count() or 1
        self._slow_places = max(1, self._size // 2)
        self._quick: BlockingFairQueue[_Task] = BlockingFairQueue()
        self._slow: BlockingFairQueue[tuple[_Task, DecoderProcess | None]] = BlockingFairQueue()
        self._lock = Lock()  # guards what follows
        self._threads: list[Thread] = []
        self._idle: list[DecoderProcess] = []
        self._processes: set[DecoderProcess] = set()
        self._slow_load: Counter[str] = Counter()  # by caller
        self._is_closed = False

    @property
    def processes(self) -> int:
        """The number of processes now."""
        return len(self._processes)

    @property
    def max_processes(self) -> int:
        """The largest number of processes."""
        return self._size + self._slow_places

    def submit(self, job: DecodeJob, data: bytes, caller: str = "") -> "Future[Pictures]":
        """Decode a file; the future has uint8 pixels of shape (count, height, width, 3).

        The files of each caller have their turn, however many another caller has submitted.

        It raises `UnusablePictureError` as `images.decode` does, or with the kind
        `too_slow_to_decode`, `too_much_memory`, `decode_timeout` or `decoder_crashed`. It raises
        `DecoderError` if no process can be started. Cancelling it frees its place.
        """
        return self._submit(job, data, caller)

    def submit_photo(
        self, job: DecodeJob, data: bytes, caller: str = "", box: PhotoBox = WHOLE
    ) -> "Future[PhotoViews]":
        """Decode the part of a photo in `box`; see `submit`."""
        return self._submit(replace(job, box=box), data, caller)

    def submit_original(self, job: DecodeJob, data: bytes) -> "Future[PictureAndFile]":
        """Decode a file, and make the file that is sent; see `submit`."""
        return self._submit(job, data, "")

    def decode(self, job: DecodeJob, data: bytes) -> Pictures:
        """Decode a file and wait for its pixels; see `submit`."""
        return self.submit(job, data).result()

    def decode_photo(self, job: DecodeJob, data: bytes) -> PhotoViews:
        """Decode a photo and wait for its views; see `submit`."""
        return self.submit_photo(job, data).result()

    def close(self) -> None:
        """Cancel all files, end the processes and wait for that; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            threads, self._threads = self._threads, []
        for process in idle:
            self._end(process)
        self._quick.close()
        self._slow.close()
        for thread in threads:
            thread.join()

    def _submit(self, job: DecodeJob, data: bytes, caller: str) -> "Future[Any]":
        task = _Task(job, data, caller)
        with self._lock:
            if self._is_closed:
                task.future.cancel()
                return task.future
            if not self._threads:
                self._start_threads()
            self._quick.put(caller, task)
        return task.future

    def _start_threads(self) -> None:
        loops: list[Callable[[], None]]
        loops = [self._decode_quick] * self._size + [self._decode_slow] * self._slow_places
        if self._size > 1:
            loops[0] = partial(self._decode_quick, self._slow_load)
        self._threads = [
            Thread(target=loop, name=f"decode {number}", daemon=True)
            for number, loop in enumerate(loops)
        ]
        for thread in self._threads:
            thread.start()

    def _decode_quick(self, skip: Container[str] = ()) -> None:
        while (task := self._quick.get(skip)) is not None:
            try:
                self._try(task)
            except BaseException as error:  # whoever waits for the file raises it
                _finish(task, error)

    def _try(self, task: _Task) -> None:
        """Decode a file, or hand it over to the slow ones if it takes long."""
        if self._is_over(task):
            return
        process = self._take()
        process.begin(task.job, task.data)
        outcome = self._wait(process, task, patient=self._limits.quick_seconds is None)
        if outcome is not None:
            self._give_back(process)
            _finish(task, outcome)
        elif self._is_over(task):
            self._end(process)
        else:
            self._set_aside(task, process)

    def _set_aside(self, task: _Task, process: DecoderProcess) -> None:
        with self._lock:
            is_free = self._slow_load.total() < self._slow_places
            self._slow_load[task.caller] += 1
        if not is_free:
            self._end(process)
        self._slow.put(task.caller, (task, process if is_free else None))

    def _decode_slow(self) -> None:
        while (handed_over := self._slow.get()) is not None:
            task, process = handed_over
            try:
                self._continue(task, process)
            except BaseException as error:  # whoever waits for the file raises it
                _finish(task, error)
            finally:
                with self._lock:
                    self._slow_load[task.caller] -= 1
                    self._slow_load += Counter()  # forgets callers without any
                self._quick.wake()

    def _continue(self, task: _Task, process: DecoderProcess | None) -> None:
        """Decode a file that takes long, with a lower priority."""
        if process is None:
            if self._is_over(task):
                return
            process = self._start()
            process.begin(task.job, task.data)
        process.lower_priority()
        outcome = self._wait(process, task, patient=True)
        self._end(process)
        if outcome is not None:
            _finish(task, outcome)

    def _wait(self, process: DecoderProcess, task: _Task, *, patient: bool) -> Outcome | None:
        return process.wait(lambda: self._is_over(task), patient=patient)

    def _is_over(self, task: _Task) -> bool:
        """Return whether nobody needs this file any more."""
        return task.future.cancelled() or (self._is_closed and task.future.cancel())

    def _take(self) -> DecoderProcess:
        """Return the idle process that was used last, or a new one."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return self._start()
            if process.is_alive():
                return process
            self._end(process)

    def _give_back(self, process: DecoderProcess) -> None:
        with self._lock:
            if process.is_usable and not self._is_closed:
                self._idle.append(process)
                return
        self._end(process)

    def _start(self) -> DecoderProcess:
        process = DecoderProcess(self._limits)
        self._processes.add(process)
        return process

    def _end(self, process: DecoderProcess) -> None:
        self._processes.discard(process)
        process.end()


def _finish(task: _Task, outcome: Outcome | BaseException) -> None:
    with suppress(InvalidStateError):  # it was cancelled meanwhile
        if isinstance(outcome, BaseException):
            task.future.set_exception(outcome)
        elif isinstance(outcome, Failure):
            task.future.set_exception(UnusablePictureError.of(outcome))
        else:
            task.future.set_result(outcome)

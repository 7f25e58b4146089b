"""The worker of a backfill on another machine: the usual loop, with a pipeline of its own.

It does not import Ray, which only creates it and passes on its calls.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from threading import Event

from shelfsight.backfill.pipeline import Pipeline, work_until_done
from shelfsight.backfill.progress import LineProgress, Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Run
from shelfsight.engines.compatibility import own_release
from shelfsight.errors import ModelMismatchError
from shelfsight.records import ModelPair

OpenPipeline = Callable[[Progress, int], AbstractContextManager[Pipeline]]
"""Opens a worker's pipeline, which reports to the given progress and computes in n threads."""


class Worker:
    """One worker of a run: `release`, `open` and `work` are called in this order.

    Two threads call it: one works; `stop` and `take_messages` may come from the other meanwhile.
    """

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._pipeline: Pipeline | None = None
        self._progress = _BufferedProgress()
        self._stop = Event()

    def release(self) -> dict[str, object]:
        """The version and protocol of this worker; called first, so it must work in any release."""
        return own_release()

    def open(self, open_pipeline: OpenPipeline, workers_here: int) -> ModelPair:
        """Load the models, and return which ones they are.

        The `workers_here` workers of this machine, this one included, share its cores.

        Raises:
            ShelfsightError: the models cannot be loaded.
        """
        threads = max(1, (os.cpu_count() or 1) // workers_here)
        opening = open_pipeline(self._progress, threads)
        self._pipeline = self._opened.enter_context(opening)
        return self._pipeline.models

    def work(self, run: Run) -> None:
        """Work on a run until no worker has anything left to do, or until `stop`.

        Raises:
            ShelfsightError: the run cannot go on.
        """
        if self._pipeline is None:
            raise RuntimeError("work before open")
        if self._pipeline.models != run.models:
            ours, asked = self._pipeline.models, run.models
            raise ModelMismatchError(
                f"a worker has the models {ours.image} and {ours.text}, but the run is by"
                f" {asked.image} and {asked.text}: give all machines the same files"
            )
        with self._opened:
            self._progress.start(run.remaining, run.job.batches(run.remaining))
            work_until_done(self._pipeline, run, Report(), self._progress, self._stop)

    def stop(self) -> None:
        """Let `work` return after the batch in progress."""
        self._stop.set()

    def take_messages(self) -> list[str]:
        """Return the messages since the last call."""
        return self._progress.take_messages()


class _BufferedProgress(LineProgress):
    """Prints to the worker's own log, and buffers its messages for the driver."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self._messages: list[str] = []

    def notify(self, message: str) -> None:
        super().notify(message)
        self._messages.append(message)

    def take_messages(self) -> list[str]:
        count = len(self._messages)  # the working thread may append meanwhile
        messages, self._messages[:count] = self._messages[:count], []
        return messages

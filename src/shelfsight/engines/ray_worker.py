"""A worker of a backfill on another machine: the usual loop, with its own pipeline.

This module does not import Ray. Ray creates the worker and passes on the calls of the driver.
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
"""Opens a worker's pipeline, given where to report progress and the number of threads to use."""


class Worker:
    """A worker of a run: `release`, `open` and `work` are called in this order.

    Two threads call it. While `work` runs in one thread, the other thread may call `stop` and
    `take_messages`.
    """

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._pipeline: Pipeline | None = None
        self._progress = _BufferedProgress()
        self._stop = Event()

    def release(self) -> dict[str, object]:
        """Return this worker's version and protocol.

        The driver calls this method first, so it must work in every release.
        """
        return own_release()

    def open(self, open_pipeline: OpenPipeline, workers_here: int) -> ModelPair:
        """Load the models, and return their identities.

        `workers_here` workers run on this machine, including this worker; they share its cores.

        Raises:
            ShelfsightError: the models cannot be loaded.
        """
        threads = max(1, (os.cpu_count() or 1) // workers_here)
        opening = open_pipeline(self._progress, threads)
        self._pipeline = self._opened.enter_context(opening)
        return self._pipeline.models

    def work(self, run: Run) -> None:
        """Work on a run until no worker has anything left to do, or until `stop` is called.

        Raises:
            ShelfsightError: the run cannot continue.
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
        """Let `work` return after the current batch."""
        self._stop.set()

    def take_messages(self) -> list[str]:
        """Return the messages since the last call."""
        return self._progress.take_messages()


class _BufferedProgress(LineProgress):
    """Prints to the worker's own log, and keeps its messages until the driver takes them."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self._messages: list[str] = []

    def notify(self, message: str) -> None:
        super().notify(message)
        self._messages.append(message)

    def take_messages(self) -> list[str]:
        count = len(self._messages)  # the working thread may append more messages meanwhile
        messages, self._messages[:count] = self._messages[:count], []
        return messages

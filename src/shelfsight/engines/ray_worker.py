"""What a worker elsewhere is: the loop of the backfill with parts of its own, and two ears."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from threading import Event

from shelfsight.backfill.pipeline import Pipeline, work_until_done
from shelfsight.backfill.progress import LineProgress, Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Run
from shelfsight.records import ModelPair

OpenPipeline = Callable[[Progress, int], AbstractContextManager[Pipeline]]
"""The parts of a worker, which tells this progress, and computes with so many threads."""


class Worker:
    """One worker of a run. One thread works; another, at the same time, listens and is heard.

    `neighbours` is how many workers share its machine, itself among them.
    """

    def __init__(self, open_pipeline: OpenPipeline, neighbours: int) -> None:
        self._open_pipeline = open_pipeline
        self._threads = max(1, (os.cpu_count() or 1) // neighbours)
        self._opened = ExitStack()
        self._parts: Pipeline | None = None
        self._progress = _Noted()
        self._stop = Event()

    def open(self) -> ModelPair:
        """Load the models; which they are.

        Raises:
            ShelfsightError: they cannot be had.
        """
        opening = self._open_pipeline(self._progress, self._threads)
        self._parts = self._opened.enter_context(opening)
        return self._parts.models

    def work(self, run: Run) -> None:
        """Work on a run until nothing is left of it to anybody, or `stop`.

        Raises:
            ShelfsightError: the run cannot go on.
        """
        if self._parts is None:
            raise RuntimeError("work before open")
        with self._opened:
            self._progress.start(run.left, run.job.batches(run.left))
            work_until_done(self._parts, run, Report(), self._progress, self._stop)

    def stop(self) -> None:
        """Let it end after the batch in hand."""
        self._stop.set()

    def said(self) -> list[str]:
        """What it has said since it was last asked."""
        return self._progress.taken()


class _Noted(LineProgress):
    """Lines for the worker's own log; what it says is kept, too, for whoever began the run."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self._said: list[str] = []

    def notify(self, message: str) -> None:
        super().notify(message)
        self._said.append(message)

    def taken(self) -> list[str]:
        count = len(self._said)  # others may be said meanwhile
        said, self._said[:count] = self._said[:count], []
        return said

"""Runs the backfill in this process, and ends it well on Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job

STDERR = 2
"""Written to directly: a signal handler must not wait for a lock that a print holds."""


def run(pipeline: Pipeline, job: Job, report: Report, progress: Progress) -> None:
    """Run to the end; at the first Ctrl-C (or SIGTERM) finish the batch in hand, then return.

    Raises:
        KeyboardInterrupt: at the second.
        ShelfsightError: the run cannot go on.
    """
    with interruptible() as stop:
        backfill(pipeline, job, report, progress, stop)


@contextmanager
def interruptible() -> Iterator[Event]:
    """Turn the first signal into an event; must be entered in the main thread."""
    stop = Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(STDERR, b"\nStopping after the batch in hand; Ctrl-C again stops at once.\n")

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Runs the backfill in this process, and stops it cleanly on Ctrl-C."""

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
"""File descriptor to write to: a signal handler must not wait for a lock that `print` holds."""


def run(pipeline: Pipeline, job: Job, report: Report, progress: Progress) -> None:
    """Run a job to its end; at Ctrl-C or SIGTERM, finish the current batch and return.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C or SIGTERM.
        ShelfsightError: the run cannot continue.
    """
    with interruptible() as stop:
        backfill(pipeline, job, report, progress, stop)


@contextmanager
def interruptible() -> Iterator[Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; the second raises KeyboardInterrupt.

    Use it in the main thread only, because Python allows signal handlers only there.
    """
    stop = Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(STDERR, b"\nStopping after the batch in hand; Ctrl-C again stops at once.\n")

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

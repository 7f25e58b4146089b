"""Runs the backfill in this process, and stops it cleanly on Ctrl-C."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from threading import Event
from types import FrameType

from shelfsight.backfill.page_size import FIRST_PAGE, PAGE_SECONDS
from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import PAGES_IN_FLIGHT, Job
from shelfsight.backfill.throughput import duration
from shelfsight.telemetry.logs import write_at_once


def run(pipeline: Pipeline, job: Job, report: Report, progress: Progress) -> None:
    """Run a job to its end; at Ctrl-C or SIGTERM, finish the current batch and return.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C or SIGTERM.
        ShelfsightError: the run cannot continue.
    """

    def waits_for() -> str:
        return stopping(*_in_progress(job, progress))

    with interruptible(waits_for) as stop:
        backfill(pipeline, job, report, progress, stop)


def _in_progress(job: Job, progress: Progress) -> tuple[int, float | None]:
    """Return how many products are being embedded at the most, and how long they take."""
    seconds = progress.seconds_for(job.batch_size)
    if seconds is None:
        return min(job.batch_size, PAGES_IN_FLIGHT * FIRST_PAGE), None
    share = PAGE_SECONDS / max(PAGE_SECONDS, seconds)
    return ceil(share * job.batch_size), share * seconds


def stopping(products: int, seconds: float | None) -> str:
    """Say what a stopping run waits for, how long that may take, and how to stop at once.

    `products` is how many products are being embedded at the most. `seconds` is how long they take,
    or None if that is not known.
    """
    how_long = "" if seconds is None else f", which takes about {duration(seconds)} at this speed"
    return (
        f"Stopping when the products in progress are stored: {products} at the most{how_long}."
        " Ctrl-C again stops at once."
    )


@contextmanager
def interruptible(message: Callable[[], str]) -> Iterator[Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; the second raises KeyboardInterrupt.

    The first prints what `message` returns. It is called in a signal handler, so it must not take
    a lock.

    Use it in the main thread only, because Python allows signal handlers only there.
    """
    stop = Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        write_at_once(f"\n{message()}")

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

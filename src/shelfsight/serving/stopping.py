"""A server that ends within a time limit after it is told to stop, whatever is stuck."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from time import sleep
from types import FrameType

import uvicorn

from shelfsight.telemetry.logs import write_at_once

CLOSING_SHARE = 1 / 6
"""The share of the time to stop that is kept for closing the app, after requests were cut."""


def seconds_for_requests(seconds: float) -> float:
    """Return how long requests in progress may take, of the seconds that a server has to stop."""
    return seconds * (1 - CLOSING_SHARE)


class StoppingServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT. Then requests in progress have most of `seconds` to finish.

    `cut` is the number of requests that did not. If the process still lives when the seconds are
    over, it says which threads are stuck and ends with status 1.

    `on_started` is called when connections are accepted.
    """

    def __init__(
        self, config: uvicorn.Config, seconds: float, on_started: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self.cut = 0
        self._seconds = seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to stop; a second SIGINT cuts the requests in progress at once."""
        if not self.should_exit:
            threading.Thread(target=self._end_late, name="deadline", daemon=True).start()
        super().handle_exit(sig, frame)
        if self.force_exit:
            self._count_cut()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, and accept connections."""
        await super().startup(sockets)
        if self.started and self._on_started is not None:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the requests in progress, cut those that take too long, and close the app."""
        limit = seconds_for_requests(self._seconds) + 0.05  # uvicorn begins to wait 0.1 s later
        counting = asyncio.get_running_loop().call_later(limit, self._count_cut)
        await super().shutdown(sockets)
        counting.cancel()

    def _count_cut(self) -> None:
        self.cut = len(self.server_state.tasks)

    def _end_late(self) -> None:
        sleep(self._seconds)
        stuck = ", ".join(_busy_threads()) or "none of its threads is known to be busy"
        cut = f" {self.cut} requests in progress were cut;" if self.cut else ""
        write_at_once(  # the thread that shows errors may be the one that is stuck
            f"shelfsight: the server did not stop within {self._seconds:g} s;{cut}"
            f" ended with threads still at work: {stuck}"
        )
        os._exit(1)


def _busy_threads() -> Iterator[str]:
    """Name the threads that are in a function of ours, and that function's module."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread.daemon or thread.ident not in frames:
            continue
        frame: FrameType | None = frames[thread.ident]
        while frame is not None:
            module = str(frame.f_globals.get("__name__", ""))
            if module.startswith("shelfsight.") and "shelfsight.cli" not in module:
                yield f"{thread.name} in {module}.{frame.f_code.co_name}"
                break
            frame = frame.f_back

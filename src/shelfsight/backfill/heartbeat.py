"""Calls a function again and again while nothing else is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

QUIET_SECONDS = 10.0
"""Seconds after which a run says that it is still working."""


class Heartbeat:
    """Calls `tell` in its own thread whenever there was no `beat` for `seconds` seconds."""

    def __init__(self, tell: Callable[[], None], seconds: float = QUIET_SECONDS) -> None:
        self._tell = tell
        self._seconds = seconds
        self._beat = Event()
        self._is_over = False

    def beat(self) -> None:
        """Start to wait anew, because something was shown."""
        self._beat.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call `tell` as described until the context ends."""
        self._is_over = False
        thread = Thread(target=self._run, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            self._beat.set()

    def _run(self) -> None:
        while not self._is_over:
            if self._beat.wait(self._seconds):
                self._beat.clear()
                continue
            try:
                self._tell()
            except OSError:  # nobody reads the output: the run's own thread meets the same error
                return

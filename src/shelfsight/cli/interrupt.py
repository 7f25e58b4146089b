"""Ctrl-C while modules are imported: it waits until they are."""

import signal
from types import FrameType
from typing import Final

_AGAIN_SECONDS: Final = 0.02
"""Seconds after which an interrupt that came during an import is tried again."""


def postpone_during_imports() -> None:
    """Let Ctrl-C raise KeyboardInterrupt as usual, but never in the middle of an import.

    Modules in C crash or report another error if they are interrupted while they are initialised.
    And if it comes while a dataclass is made, Python ends with another status, though the exception
    was handled (CPython's `_Py_UnhandledKeyboardInterrupt`).

    Nothing is changed where SIGINT is ignored, or where another program that calls this one uses
    these signals. Call it in the main thread, because Python allows signal handlers only there.
    """
    used = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    if used == (signal.default_int_handler, signal.SIG_DFL):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
    else:
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False

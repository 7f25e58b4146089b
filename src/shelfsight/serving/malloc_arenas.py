"""Lets the C library keep memory in few places, so that a server's memory does not creep up."""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""

_ARENAS = 2


def limit_arenas() -> None:
    """Let all threads allocate from two arenas; do nothing on a system without glibc.

    By default glibc gives each of up to eight threads a core an arena of its own, and memory that
    is free in one is not used by another.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)

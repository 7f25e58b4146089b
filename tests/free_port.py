"""A port for a program that has to be told one, and cannot be handed a socket."""

import socket
from contextlib import suppress
from secrets import randbelow


def free_port() -> int:
    """A port that stays free: the kernel gives it to nobody who asks for any, as other tests do.

    It is drawn by `secrets`, since `random` has the same seed in every process of the tests.
    """
    for port in range(10_000 + randbelow(9_000), 20_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")

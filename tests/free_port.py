"""A port for a program that has to be told one, and cannot be handed a socket."""

import socket
from contextlib import suppress
from secrets import randbelow


def free_port() -> int:
    """A port that stays free: the kernel gives it to nobody who asks for any, as other tests do.

    The range lies between those of Ray's workers and of the kernel. The port is drawn by `secrets`,
    since `random` has the same seed in every process of the tests.
    """
    for port in range(20_000 + randbelow(11_000), 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")

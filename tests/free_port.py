"""A port for a program that has to be told one, and cannot be handed a socket."""

import socket
from contextlib import suppress
from random import randrange


def free_port() -> int:
    """One that stays free: the kernel gives it to nobody who asks for any, as other tests do."""
    for port in range(randrange(10_000, 19_000), 20_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")

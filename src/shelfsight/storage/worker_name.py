"""A worker's name, by which others on the same machine can tell that it is gone."""

import os
import socket
from secrets import token_hex


def new_name() -> str:
    """`host/pid/random`: unlike any other, on this machine or elsewhere."""
    return f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether that worker was a process of this machine that has ended.

    False where one cannot know. Should it be wrong, the fence still keeps every row right.
    """
    host, _, rest = name.rpartition("/")[0].rpartition("/")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False

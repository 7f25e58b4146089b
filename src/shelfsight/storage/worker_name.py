"""Names workers so that others on the same machine can tell whether one has ended."""

import os
import socket
from secrets import token_hex


def new_name() -> str:
    """Make a worldwide unique name, `host/pid/random`."""
    return f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether a worker was a process of this machine that has ended.

    False if that is unknown. A wrong answer does no harm: the fencing token of the claim still
    keeps a worker that lost its claim from writing.
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

"""Names workers so that other processes on the same machine can tell whether a worker has ended."""

import os
import socket
from secrets import token_hex


def new_name() -> str:
    """Make a name for this worker, `host/pid/random`. No other worker has the same name."""
    return f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"


def is_gone(name: str) -> bool:
    """Return whether a worker was a process of this machine that has ended.

    False if that is not known. A wrong answer does no harm: the fencing token of a claim keeps a
    worker from writing after it has lost the claim.
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

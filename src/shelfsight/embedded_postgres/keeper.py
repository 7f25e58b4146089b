"""Stops the embedded Postgres after its last user was killed and could not do so itself.

The process that starts the server starts this file beside it, detached, as a script: it may use
the standard library only. What both sides need to agree on, the locks and how a server is found
and stopped, therefore lives here.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL = 0.02
"""Seconds between two looks at a server that starts or stops."""

STOP_PATIENCE = 120
"""Seconds a server may take to stop: its last checkpoint writes at most its shared buffers."""


class Locks:
    """Who may start and stop the server, and who uses it.

    All are flocks, which the kernel drops however a process ends. The `gate` is held while the
    server is started or stopped. Users share `users`; it is tried exclusively under the gate only,
    so the answer is exact. They share `bell` too, which the keeper waits for: the wait must not be
    on `users`, where it could be taken for one more user.
    """

    def __init__(self, folder: Path) -> None:
        self.gate = open_own(folder / "gate")
        self.users = open_own(folder / "users")
        self.bell = open_own(folder / "bell")

    @contextmanager
    def gated(self) -> Iterator[None]:
        """Wait for the gate and hold it."""
        fcntl.flock(self.gate, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.gate, fcntl.LOCK_UN)

    def join(self) -> None:
        """Become a user; under the gate."""
        fcntl.flock(self.users, fcntl.LOCK_SH)
        fcntl.flock(self.bell, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Be no user any more; under the gate."""
        fcntl.flock(self.bell, fcntl.LOCK_UN)
        fcntl.flock(self.users, fcntl.LOCK_UN)

    def unused(self) -> bool:
        """Whether nobody uses the server; under the gate."""
        if not try_lock(self.users):
            return False
        fcntl.flock(self.users, fcntl.LOCK_UN)
        return True

    def wait_until_left(self) -> None:
        """Wait until there seems to be no user."""
        fcntl.flock(self.bell, fcntl.LOCK_EX)
        fcntl.flock(self.bell, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of everything."""
        for lock in (self.gate, self.users, self.bell):
            os.close(lock)


def open_own(path: Path) -> int:
    """Open a lock or a log, creating it; never through a symlink that somebody else laid."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def try_lock(lock: int) -> bool:
    """Take a lock exclusively if it is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def named_pid(lock_file: Path) -> int | None:
    """The process that a lock file of Postgres names, living or not."""
    try:
        pid = int(lock_file.read_bytes().split(b"\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def server_pid(data: Path) -> int | None:
    """The live server of this cluster, never a process that merely got its old number."""
    pid = named_pid(data / "postmaster.pid")
    return pid if pid is not None and _serves(pid, data) else None


def stop_server(data: Path) -> bool:
    """Stop the server as `pg_ctl stop -m fast` does, and wait; whether it is gone."""
    pid = server_pid(data)
    if pid is None:
        return True
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_PATIENCE
    while server_pid(data) == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _serves(pid: int, data: Path) -> bool:
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return b"/postgres\0-D\0" + os.fsencode(data) + b"\0" in command
    # ps writes odd characters of a path in ways of its own: here any postgres may be ours
    shown = subprocess.run(
        ["ps", "-ww", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().endswith("postgres")


def main(folder: Path, data: Path, only_keeper: int) -> None:
    """Wait until nobody uses the server, stop it, and end.

    `only_keeper` is the lock that makes this the only keeper, inherited from who started it. It
    is let go under the gate, so that whoever comes next knows whether a keeper is still there.
    """
    locks = Locks(folder)
    while True:
        locks.wait_until_left()
        with locks.gated():
            if locks.unused():
                # a folder that was deleted and made anew holds a server of others
                if _same_file(locks.gate, folder / "gate"):
                    stop_server(data)
                os.close(only_keeper)
                return


def _same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except OSError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

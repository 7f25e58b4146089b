"""Stops the embedded Postgres if the last process that used it was killed and could not stop it.

The process that starts the server also starts this file as a detached script. So the file may
import only the standard library. The file also holds what the keeper and the other processes share:
the locks, and functions that find and stop a server.
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
"""Seconds between two checks of a server that is starting or stopping."""

STOP_PATIENCE = 120
"""How many seconds a server may take to stop. Its final checkpoint writes at most its shared
buffers."""


class ServerLocks:
    """File locks that say which processes use the server, and which may start or stop it.

    They are flocks, which the kernel releases however a process ends:

    * `gate` is held exclusively by a process that starts or stops the server.
    * `users` is held as a shared lock by all processes that use the server. A process tries to lock
      it exclusively only while it holds the gate, so the result is exact.
    * `bell` is held as a shared lock by all processes that use the server, too. The keeper waits to
      lock it exclusively. The keeper does not wait for `users`, because there other processes could
      mistake the keeper for a user.
    """

    def __init__(self, folder: Path) -> None:
        self.gate = open_private(folder / "gate")
        self.users = open_private(folder / "users")
        self.bell = open_private(folder / "bell")

    @contextmanager
    def gated(self) -> Iterator[None]:
        """Hold the gate while this context is open."""
        fcntl.flock(self.gate, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.gate, fcntl.LOCK_UN)

    def join(self) -> None:
        """Become a user of the server. The caller must hold the gate."""
        fcntl.flock(self.users, fcntl.LOCK_SH)
        fcntl.flock(self.bell, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Stop being a user of the server. The caller must hold the gate."""
        fcntl.flock(self.bell, fcntl.LOCK_UN)
        fcntl.flock(self.users, fcntl.LOCK_UN)

    def has_no_users(self) -> bool:
        """Return whether no process uses the server. The caller must hold the gate."""
        if not try_lock(self.users):
            return False
        fcntl.flock(self.users, fcntl.LOCK_UN)
        return True

    def wait_for_last_user(self) -> None:
        """Wait until the last user has left. Another user may have come when this returns."""
        fcntl.flock(self.bell, fcntl.LOCK_EX)
        fcntl.flock(self.bell, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock files, which releases the locks."""
        for lock in (self.gate, self.users, self.bell):
            os.close(lock)


def open_private(path: Path) -> int:
    """Open or create a lock file or log file that only this user can read. Follow no symlink."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def try_lock(lock: int) -> bool:
    """Try to lock a file exclusively, without waiting; return whether it is locked."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def pid_in_lock_file(lock_file: Path) -> int | None:
    """Return the process id in a lock file of Postgres. The process may have ended."""
    try:
        pid = int(lock_file.read_bytes().split(b"\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def server_pid(data: Path) -> int | None:
    """Return the process id of the server that runs on this cluster; None if no server runs.

    None also if the id of an old server now belongs to another process.
    """
    pid = pid_in_lock_file(data / "postmaster.pid")
    return pid if pid is not None and _is_server(pid, data) else None


def stop_server(data: Path) -> bool:
    """Stop the server like `pg_ctl stop -m fast`, and wait for its end; return whether it ended."""
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


def _is_server(pid: int, data: Path) -> bool:
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return b"/postgres\0-D\0" + os.fsencode(data) + b"\0" in command
    # ps escapes unusual characters of a path, so here any process named postgres counts as ours
    shown = subprocess.run(
        ["ps", "-ww", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().endswith("postgres")


def main(folder: Path, data: Path, keeper_lock: int) -> None:
    """Wait until no process uses the server, then stop the server.

    `keeper_lock` is inherited from the process that started this keeper, and makes it the only
    keeper. The lock is released while the gate is held, so that the next user can tell whether a
    keeper exists.
    """
    locks = ServerLocks(folder)
    while True:
        locks.wait_for_last_user()
        with locks.gated():
            if locks.has_no_users():
                # if the folder was deleted and created again, its server is not ours
                if _is_same_file(locks.gate, folder / "gate"):
                    stop_server(data)
                os.close(keeper_lock)
                return


def _is_same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except OSError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

"""Stops the embedded Postgres if the last process that used it was killed and could not stop it.

The process that starts the server also starts this file as a detached script. So the file may
import only the standard library. The file also holds what the keeper and the other processes share:
the locks, and functions that find and stop a server.
"""

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple

PORT = 5432
"""The port. It is only part of the socket's name, because the server does not listen on TCP."""

SERVER_LOCK = "postmaster.lock"
"""The file in the data folder that a server and its processes hold locked while they live."""

UPGRADE = "postgres.upgrade"
"""The folder beside the data folder where an upgrade works. It is there only during an upgrade."""

POLL = 0.02
"""Seconds between two checks of a server that is starting or stopping."""

STOP_PATIENCE = 120
"""How many seconds a server may take to stop. Its final checkpoint writes at most its shared
buffers."""

START_PATIENCE = 10
"""How many seconds a server may take from its start until it listens."""

_CREDENTIALS = Struct("3i")
"""The `struct ucred` of Linux: process id, user, group."""


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


class Server(NamedTuple):
    """A server that accepts connections."""

    sockets: Path
    """The folder of its socket, as this process sees it."""

    pid: int
    """The id of its process, as this process sees it; 0 if this PID namespace cannot see it."""

    is_ready: bool
    """False while it recovers from a crash."""


def find_server(data: Path) -> Server | None:
    """Return the server of this cluster that answers on its socket; None if none does.

    A connection is the proof, because only a live server listens. A process id proves nothing: in
    another container the same id is another process, or none.
    """
    try:
        # lines of the file: pid, data, time, port, socket folder, host, shared memory, state
        lines = os.fsdecode((data / "postmaster.pid").read_bytes()).split("\n")
        pid, (its_data, _, port, sockets) = int(lines[0]), lines[1:5]
    except (FileNotFoundError, ValueError):
        return None
    if port != str(PORT):
        return None
    # another container may see the same data folder under another path
    folder = data if sockets == its_data else Path(sockets)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            connection.connect(str(folder / f".s.PGSQL.{PORT}"))
            if sys.platform == "linux":
                pid = _peer(connection)
        except BlockingIOError:  # it listens, but too many others are waiting
            pid = 0
        except OSError:
            return None
    return Server(folder, pid, is_ready="".join(lines[7:8]).strip() == "ready")


def lock_server(data: Path) -> int | None:
    """Lock the cluster for a new server; return the lock, or None if a server holds it.

    The new server and all its processes must inherit the lock. So the kernel releases it when the
    last of them has ended, and not before. A process of a killed server can still write.
    """
    lock = open_private(data / SERVER_LOCK)
    if not try_lock(lock):
        os.close(lock)
        return None
    owner = data.stat()
    if os.geteuid() == 0:
        os.fchown(lock, owner.st_uid, owner.st_gid)
    return lock


def write_host(lock: int) -> None:
    """Write into the lock of the server on which host it runs; in a container, in which one."""
    os.ftruncate(lock, 0)
    os.write(lock, f"{socket.gethostname()}\n".encode())


def is_locked(path: Path) -> bool:
    """Return whether a process holds an exclusive lock on this file, this process included."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        if not try_lock(lock):
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
    finally:
        os.close(lock)


def stop_server(data: Path) -> bool:
    """Stop the server like `pg_ctl stop -m fast`, and wait for its end.

    A server in another PID namespace is left to the keeper there.

    Returns:
        False if the server does not stop.

    """
    give_up = time.monotonic() + START_PATIENCE
    # a server whose starter was killed may not listen yet
    while (server := find_server(data)) is None and is_locked(data / SERVER_LOCK):
        if time.monotonic() > give_up:
            return True
        time.sleep(POLL)
    if server is None or server.pid == 0:
        return True
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    give_up = time.monotonic() + STOP_PATIENCE
    while is_locked(data / SERVER_LOCK) or find_server(data) is not None:
        if time.monotonic() > give_up:
            return False
        time.sleep(POLL)
    return True


def new_data(data: Path) -> Path:
    """Return the data folder that an upgrade fills. Its server ends with the upgrade."""
    return data.with_name(UPGRADE) / "new"


def keeper_lock_file(folder: Path) -> Path:
    """Return the lock file of the keeper in this PID namespace: only it can stop a server there."""
    with suppress(OSError):
        return folder / f"keeper.{Path('/proc/self/ns/pid').stat().st_ino}"
    return folder / "keeper"


def _peer(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    return pid


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
                    stop_server(new_data(data))
                os.close(keeper_lock)
                _remove_unused(folder.glob("keeper*"))
                return


def _remove_unused(lock_files: Iterable[Path]) -> None:
    """Remove lock files that nobody holds, such as those of ended containers."""
    for file in lock_files:
        if not is_locked(file):
            file.unlink(missing_ok=True)


def _is_same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except OSError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

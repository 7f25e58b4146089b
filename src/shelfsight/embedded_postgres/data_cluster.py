"""The data folder (cluster) of the embedded Postgres: creates the cluster and starts its server.

Nothing in this file is safe if two processes do it at once, so the caller must hold the gate
(`ServerLocks`).
"""

import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from shelfsight.embedded_postgres import keeper, server_user
from shelfsight.embedded_postgres.server_user import ServerUser
from shelfsight.errors import EmbeddedDatabaseError

PORT = 5432
"""The port. It is only part of the socket's name, because the server does not listen on TCP."""

_MAX_SOCKET_PATH = 103
"""The longest path of a socket in bytes, without the final zero. With it, the limit is 104 on macOS
and 108 on Linux."""

_MIN_SHARED_MEMORY = 1 << 30
"""If /dev/shm has fewer bytes, parallel index builds share memory by files instead. In a container
/dev/shm often has 64 MB."""

_SHARED_BUFFERS = 128 << 20, 1 << 30
"""The smallest and the largest `shared_buffers`, in bytes. An index of 100,000 vectors of 768
numbers takes 200 MB. In the default of 128 MB it does not fit, so searches read pages again and
again."""

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The file that holds the memory limit of a container (Linux, cgroup v2)."""

_ORPHAN_SECONDS = 30
"""How many seconds the processes of a killed server may take to notice its death and end."""

_RETRY_SECONDS = 0.2
"""Seconds between two attempts to start the server."""

_ORPHAN_MESSAGES = ("pre-existing shared memory", '" already exists')
"""Parts of the messages of a server that does not start because parts of an old server still
exist."""

_LOG_LIMIT = 1 << 20
"""A log that has more bytes than this is emptied at the next start."""


class DataCluster:
    """The cluster in `home/postgres`. Its server runs as `user` and logs to `home/postgres.log`."""

    def __init__(self, home: Path, user: ServerUser) -> None:
        self._home = home
        self._user = user
        self._data = data_folder(home)
        self._log = home / "postgres.log"

    def start(self, gate: int) -> Path:
        """Create and start the server if needed; return its socket's folder when it is ready.

        If the server recovers from a crash, this waits as long as the server is alive. `gate` is
        the lock that the caller holds. `initdb` inherits the lock, and so still holds it if this
        process is killed.

        Raises:
            EmbeddedDatabaseError: the server does not start. The message has the end of its log.

        """
        if (sockets := self._ready()) is not None:
            return sockets
        binaries = server_user.binaries(self._user, self._home)
        if not (self._data / "PG_VERSION").exists():
            self._create(binaries, gate)
        give_up = time.monotonic() + _ORPHAN_SECONDS
        while True:
            if keeper.server_pid(self._data) is None:
                self._launch(binaries, give_up)
            if (sockets := self._ready()) is not None:
                return sockets
            time.sleep(_RETRY_SECONDS)

    def _create(self, binaries: Path, gate: int) -> None:
        """Create the cluster under another name and rename it, so that it is never half created.

        The defaults of `initdb` are right (100 connections, fsync), except for `shared_buffers`.
        """
        if self._data.exists() and any(self._data.iterdir()):
            raise EmbeddedDatabaseError(
                f"{self._data} is no Postgres cluster, and not empty: move it away, or set "
                "SHELFSIGHT_HOME to another folder"
            )
        unfinished = self._data.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._user.take_ownership(unfinished)
        done = self._user.run(
            [
                *(binaries / "initdb", "-D", unfinished, "-U", "postgres", "--auth=trust"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                *("--no-instructions", "--set", f"shared_buffers={_shared_buffers() >> 10}kB"),
            ],
            pass_fds=[gate],
        )
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedDatabaseError(
                f"the embedded Postgres cannot be created in {self._data}:"
                f" {_last_lines(done.stdout)}"
            )
        unfinished.rename(self._data)

    def _launch(self, binaries: Path, give_up: float) -> None:
        """Start the server. Return when it is ready, or has ended but can be tried again."""
        sockets = self._socket_folder()
        self._clear_stale(sockets)
        log = keeper.open_private(self._log)
        try:
            if os.fstat(log).st_size > _LOG_LIMIT:
                os.ftruncate(log, 0)
            log_start = os.lseek(log, 0, os.SEEK_END)
            program = binaries / "postgres"
            server = self._user.start([program, "-D", self._data, *_settings(sockets)], output=log)
            running = server_user.reap(server)
            while running.is_alive():
                if self._ready() is not None:
                    return
                time.sleep(keeper.POLL)
            output = os.pread(log, _LOG_LIMIT, log_start).decode(errors="replace")
        finally:
            os.close(log)
        if time.monotonic() > give_up or not any(message in output for message in _ORPHAN_MESSAGES):
            reason = _last_lines(output) or f"exit status {server.returncode}"
            raise EmbeddedDatabaseError(
                f"the embedded Postgres does not start: {reason}; its log is {self._log}"
            )

    def _ready(self) -> Path | None:
        """Return the folder of the server's socket; None if it does not accept connections."""
        if keeper.server_pid(self._data) is None:
            return None
        # lines of the file: pid, data, time, port, socket folder, host, shared memory, state
        with suppress(FileNotFoundError):
            lines = os.fsdecode((self._data / "postmaster.pid").read_bytes()).split("\n")
            if len(lines) > 7 and lines[7].strip() == "ready":
                return Path(lines[4])
        return None

    def _clear_stale(self, sockets: Path) -> None:
        """Remove lock files whose process id now belongs to another process.

        Postgres would not start while such files exist. A file whose process has ended stays,
        because Postgres uses the file to see whether processes of an old server still run.
        """
        for file in (self._data / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock"):
            pid = keeper.pid_in_lock_file(file)
            with suppress(ProcessLookupError, PermissionError):
                if pid is not None:
                    os.kill(pid, 0)
                    file.unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        """Return the folder for the socket: the data folder, or a temporary folder if needed."""
        if _fits_socket(self._data):
            return self._data
        name = f"shelfsight-{sha256(os.fsencode(self._data)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir(), name)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self._user.take_ownership(folder)
        status = folder.lstat()
        owner = os.geteuid() if self._user.uid is None else self._user.uid
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
            raise EmbeddedDatabaseError(
                f"{folder} should be a folder of {self._user} alone: remove it, or set "
                "SHELFSIGHT_HOME to a shorter path"
            )
        return folder


def data_folder(home: Path) -> Path:
    """Return the data folder (cluster) in a home folder."""
    return (home / "postgres").resolve()


def _fits_socket(folder: Path) -> bool:
    """Return whether clients can connect to a socket in this folder.

    The socket's path must not be too long. It must not contain a comma either, because a comma
    separates hosts in an address.
    """
    return (
        "," not in str(folder) and len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _MAX_SOCKET_PATH
    )


def _settings(sockets: Path) -> list[str]:
    """Return the settings that depend on the machine, as arguments of `postgres`.

    No shell and no configuration file parses them, so only the folder's name needs quotes.
    """
    folder = str(sockets).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{folder}"',
        "unix_socket_permissions": "0700",
    }
    if _is_shared_memory_small():
        settings["dynamic_shared_memory_type"] = "mmap"
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _shared_buffers() -> int:
    """Return the value of `shared_buffers` in bytes: a quarter of the memory, as is usual.

    The value stays within the limits of `_SHARED_BUFFERS`. It is written to `postgresql.conf`, so
    that users can change it there.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        memory = min(memory, int(_CGROUP_LIMIT.read_text()))
    smallest, largest = _SHARED_BUFFERS
    return min(largest, max(smallest, memory // 4))


def _is_shared_memory_small() -> bool:
    try:
        shm = os.statvfs(Path("/dev") / "shm")
    except FileNotFoundError:
        return False
    return shm.f_blocks * shm.f_frsize < _MIN_SHARED_MEMORY


def _last_lines(log: str) -> str:
    """Return the last four lines of a log as a single line, without times and process ids."""
    lines = [line.split("] ", 1)[-1].strip() for line in log.splitlines() if line.strip()]
    return "; ".join(lines[-4:])

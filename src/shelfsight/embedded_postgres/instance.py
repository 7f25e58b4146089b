"""The embedded database: starts and stops a real PostgreSQL with pgvector from an installed wheel.

Any number of processes share a server, and the last of them stops it. The processes that use the
server hold file locks (`keeper.ServerLocks`), which the kernel releases when a process is killed.
If the last process was killed, the keeper stops the server instead.
"""

import atexit
import os
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from subprocess import DEVNULL
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.pq import PGconn, Ping

from shelfsight.errors import EmbeddedDatabaseError

if sys.platform == "win32":
    raise EmbeddedDatabaseError("the embedded Postgres does not run on Windows: set DATABASE_URL")

from shelfsight.embedded_postgres import file_locks, interrupted_upgrade, keeper, server_user
from shelfsight.embedded_postgres.data_cluster import DataCluster, data_folder
from shelfsight.embedded_postgres.server_user import ServerUser

_TRIES = 5
"""How often a server may fail in the moment after its start."""


class EmbeddedPostgres:
    """A PostgreSQL with pgvector that all processes with the same home folder share.

    It is a context manager that returns the URL, as `start` does.
    """

    def __init__(self, home: Path, *, database: str = "shelfsight") -> None:
        self._home = home.expanduser().resolve()
        self._lock_folder = self._home / "postgres.locks"
        self._database = database
        self._locks: keeper.ServerLocks | None = None
        self._process = 0

    def start(self) -> str:
        """Create and start the server if needed; return its `postgresql://` URL.

        This can be called again, for example after the server was killed.

        Raises:
            EmbeddedDatabaseError: the server cannot be started. The message has the end of its log.

        """
        try:
            return self._start()
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"{error.filename or self._home}: {error.strerror}; set SHELFSIGHT_HOME to a "
                "folder you can write to, or DATABASE_URL to use another Postgres"
            ) from error
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise EmbeddedDatabaseError(
                f"the embedded Postgres in {self._home} refuses: {reason}"
            ) from error

    def stop(self) -> None:
        """Stop using the server. The last process to do so stops it and waits for its end.

        Raises:
            EmbeddedDatabaseError: the server does not stop.

        """
        locks = self._locks
        # a forked child inherits these locks, but they belong to its parent
        if locks is None or self._process != os.getpid():
            return
        self._locks = None
        atexit.unregister(self.stop)
        with closing(locks), file_locks.refused_in_words(self._lock_folder), locks.gated():
            locks.leave()
            if locks.has_no_users() and not keeper.stop_server(data_folder(self._home)):
                raise EmbeddedDatabaseError(f"the embedded Postgres in {self._home} does not stop")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> str:
        user = server_user.choose(data_folder(self._home))
        _create_home(self._home, user)
        locks = self._own_locks()
        try:
            with file_locks.refused_in_words(self._lock_folder), locks.gated():
                file_locks.check(self._lock_folder / "gate")
                locks.join()
                interrupted_upgrade.recover(data_folder(self._home))
                # the keeper starts first, so that it watches the server from the beginning
                ensure_keeper(self._lock_folder, data_folder(self._home))
                sockets = self._ensure_server(DataCluster(self._home, user), locks.gate)
        except BaseException:  # Ctrl-C too must leave no server behind
            self.stop()
            raise
        return url(sockets, self._database)

    def _ensure_server(self, cluster: DataCluster, gate: int) -> Path:
        """Start the server, create the database if needed, and return the socket's folder."""
        tries = _TRIES
        while True:
            sockets = cluster.start(gate)
            try:
                _ensure_database(sockets, self._database)
            except psycopg.OperationalError:
                # it was killed just after it seemed ready, or recovers since a part of it was
                tries -= PGconn.ping(url(sockets, "postgres").encode()) != Ping.REJECT
                if tries == 0:
                    raise
                time.sleep(keeper.POLL)
            else:
                return sockets

    def _own_locks(self) -> keeper.ServerLocks:
        if self._locks is None or self._process != os.getpid():
            self._lock_folder.mkdir(mode=0o700, exist_ok=True)
            self._locks = keeper.ServerLocks(self._lock_folder)
            self._process = os.getpid()
            atexit.register(self.stop)
        return self._locks


def _create_home(home: Path, user: ServerUser) -> None:
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not user.may_enter(existing):
        raise EmbeddedDatabaseError(
            f"the embedded Postgres runs as {user}, who may not enter {existing}: set"
            " SHELFSIGHT_HOME to a folder this user can reach, or DATABASE_URL to use another"
            " Postgres"
        )
    missing = [path for path in (home, *home.parents) if not path.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        if user.uid is not None:
            # with the umask of root, other users might have no access
            folder.chmod(0o755)


def ensure_keeper(locks: Path, data: Path) -> None:
    """Start a keeper, unless a keeper is running in this PID namespace.

    The keeper inherits a lock that marks it as the only keeper there.
    """
    keeper_lock = keeper.open_private(keeper.keeper_lock_file(locks))
    try:
        if keeper.try_lock(keeper_lock):
            command = [
                sys.executable,
                "-IS",
                keeper.__file__,
                str(locks),
                str(data),
                str(keeper_lock),
            ]
            # without a keeper, only a normal exit stops the server
            with suppress(EmbeddedDatabaseError):
                server_user.reap(
                    ServerUser().start(command, output=DEVNULL, pass_fds=[keeper_lock])
                )
    finally:
        os.close(keeper_lock)


def _ensure_database(sockets: Path, name: str) -> None:
    with psycopg.connect(url(sockets, "postgres"), autocommit=True) as connection:
        existing = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if existing.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(url(sockets, name), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


def url(sockets: Path, database: str) -> str:
    """Return the address of a database of the server whose socket is in this folder."""
    # the URL states the port, so that PGPORT has no effect
    folder = quote(os.fsencode(sockets), safe="")
    return f"postgresql://postgres@/{quote(database, safe='')}?host={folder}&port={keeper.PORT}"

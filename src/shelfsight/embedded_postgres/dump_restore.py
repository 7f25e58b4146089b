"""Copies all databases and roles from one server to another: `pg_dump` and `pg_restore`."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from shelfsight.embedded_postgres import keeper
from shelfsight.embedded_postgres.data_cluster import last_lines
from shelfsight.embedded_postgres.instance import url
from shelfsight.embedded_postgres.server_user import ServerUser
from shelfsight.errors import EmbeddedDatabaseError

SUPERUSER = "postgres"
"""The role that `initdb` creates, and the database that is there from the start."""


@dataclass(frozen=True)
class DumpRestore:
    """Programs of the newer version, the user that runs them, and a folder for the dumps."""

    binaries: Path
    user: ServerUser
    dumps: Path

    def copy(self, source: Path, target: Path) -> None:
        """Copy everything between two servers, given as the folders of their sockets.

        Raises:
            EmbeddedDatabaseError: a dump or a restore fails.

        """
        roles = self.dumps / "roles.sql"
        self._run("pg_dumpall", source, "--roles-only", f"--file={roles}")
        statements = roles.read_text().splitlines(keepends=True)
        roles.write_text("".join(s for s in statements if s != f"CREATE ROLE {SUPERUSER};\n"))
        restored = "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={roles}"
        self._run("psql", target, *restored)
        for name in _databases(source):
            self._copy_database(name, source, target)
        self._run("vacuumdb", target, "--all", "--analyze-only", "--quiet")

    def _copy_database(self, name: str, source: Path, target: Path) -> None:
        dump = self.dumps / "database.dump"
        database = make_conninfo(dbname=name)
        self._run("pg_dump", source, "--format=custom", f"--file={dump}", f"--dbname={database}")
        create = [] if name == SUPERUSER else ["--create"]
        self._run(
            "pg_restore", target, "--exit-on-error", *create, f"--dbname={SUPERUSER}", str(dump)
        )
        dump.unlink()

    def _run(self, program: str, sockets: Path, *arguments: str) -> None:
        address = f"--host={sockets}", f"--port={keeper.PORT}", f"--username={SUPERUSER}"
        done = self.user.run([self.binaries / program, *address, *arguments])
        if done.returncode != 0:
            raise EmbeddedDatabaseError(f"{program} fails: {last_lines(done.stdout)}")


def _databases(sockets: Path) -> list[str]:
    """Return the names of all databases that hold anything of the user's."""
    with psycopg.connect(url(sockets, SUPERUSER)) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
        return [name for (name,) in found]

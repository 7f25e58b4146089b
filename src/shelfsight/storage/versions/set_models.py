"""Which models made each set of vectors."""

from contextlib import closing
from typing import NamedTuple

from shelfsight.postgres.connection import Connection, Database, Transactions, fetch_as
from shelfsight.storage.vectors.model_check import StoredModels, stored_models
from shelfsight.storage.versions.queries import QUERIES
from shelfsight.storage.versions.vector_versions import PREVIOUS_SCHEMA, STAGED_SCHEMA

IN_USE, STAGED, PREVIOUS = "in use", "staged", "from before the switch"
"""The names of the sets, for people."""


class _VectorTable(NamedTuple):
    schema: str
    oid: int
    is_in_use: bool


class SetModels:
    """Reads which models made each set; a table is counted only until it has vectors."""

    def __init__(self, database: Transactions, url: str) -> None:
        self._database = database
        self._url = url
        self._known: dict[int, list[StoredModels]] = {}

    def read(self) -> dict[str, list[StoredModels]]:
        """Return the models of each set that exists, by its name.

        Raises:
            DatabaseError: the database cannot be read.
        """
        values = {"schemas": [STAGED_SCHEMA, PREVIOUS_SCHEMA]}

        def work(connection: Connection) -> list[_VectorTable]:
            return fetch_as(_VectorTable, connection, QUERIES["vector_tables"], values)

        tables = self._database.run(work, read_only=True)
        found = {table.oid: self._known.get(table.oid) or self._count(table) for table in tables}
        self._known = found
        return {_name(table): found[table.oid] for table in tables}

    def _count(self, table: _VectorTable) -> list[StoredModels]:
        if table.is_in_use:
            return self._database.run(stored_models, read_only=True)
        with closing(Database(self._url, schema=table.schema)) as others:
            return others.run(stored_models, read_only=True)


def _name(table: _VectorTable) -> str:
    if table.is_in_use:
        return IN_USE
    return STAGED if table.schema == STAGED_SCHEMA else PREVIOUS

"""The staged vectors: a second set that other models make while the first set stays in use."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from shelfsight.postgres.connection import Database
from shelfsight.records import Due, ModelPair, Selection
from shelfsight.settings import Settings
from shelfsight.wiring.database import postgres_catalog


@contextmanager
def open_version(database: Database, *, staged: bool) -> Iterator[Database]:
    """Yield the database with the vectors in use or, if `staged`, with the staged vectors."""
    from shelfsight.storage.versions.vector_versions import STAGED_SCHEMA

    if not staged:
        yield database
        return
    with closing(Database(database.url, schema=STAGED_SCHEMA)) as new:
        yield new


def prepare_staged(database: Database, models: ModelPair) -> None:
    """Create missing tables for staged vectors, if `database` is the staged set.

    Raises:
        ModelError: these models made the vectors in use, or other models made the staged ones.
        DatabaseError: the role lacks a right; the message names it.
    """
    from shelfsight.storage.versions.vector_versions import prepare_staged as prepare

    if database.schema is not None:
        with closing(Database(database.url)) as in_use:
            prepare(in_use, models).close()


def count_due(settings: Settings, database: Database, selection: Selection) -> Due:
    """Count the products that a run would embed; all products if no staged set exists yet."""
    from shelfsight.storage.versions.vector_versions import existing_schemas

    with closing(Database(database.url)) as in_use:
        if database.schema in {None, *existing_schemas(in_use)}:
            return postgres_catalog(settings, database).due(selection)
        everything = replace(selection, skip_existing=False)
        return postgres_catalog(settings, in_use).due(everything)

"""Opens the database that holds the products: the user's own, or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from shelfsight.backfill.ports import Catalog
from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings

EMBEDDED = "shelfsight"
"""Name of the database within the embedded Postgres."""


def home(settings: Settings) -> Path:
    """The folder of the embedded database and of the models that are built once."""
    return settings.home(root=hasattr(os, "geteuid") and os.geteuid() == 0)


def database_name(settings: Settings) -> str:
    """Name the database for people, without its password."""
    if settings.database_url is None:
        return f"embedded Postgres in {home(settings)}"
    return Database(settings.database_url).host


@contextmanager
def connect_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """Open the user's database, or start the embedded one, and leave its tables as they are.

    Args:
        settings: `database_url` names the user's database; without one the embedded is used.
        name: the database within the embedded Postgres.

    Raises:
        DatabaseError: the embedded Postgres cannot be started.
    """
    with ExitStack() as resources:
        url = settings.database_url
        if url is None:
            from shelfsight.embedded_postgres.instance import EmbeddedPostgres

            url = resources.enter_context(EmbeddedPostgres(home(settings), database=name))
        yield resources.enter_context(closing(Database(url)))


@contextmanager
def open_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """Open the user's database, or start the embedded one and create its tables.

    Raises:
        DatabaseError: it cannot be reached or started.
    """
    from shelfsight.storage import schema

    with connect_database(settings, name=name) as database:
        if settings.database_url is None:
            schema.create(database)
        yield database


def is_back(settings: Settings) -> bool:
    """Whether the database can be reached now; an embedded one is started if it is down."""
    try:
        with open_database(settings) as database:
            database.run(lambda connection: connection.execute("SELECT"))
    except DatabaseError:
        return False
    return True


def postgres_catalog(settings: Settings, database: Database) -> Catalog:
    """Make the catalogue over the shop's tables, for whatever models made the stored vectors."""
    from shelfsight.catalog.postgres_catalog import PostgresCatalog

    return PostgresCatalog(database, images_per_product=settings.images_per_product)

"""Where the products are: the user's database, or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shelfsight.backfill.ports import Catalog
from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Database
from shelfsight.records import Due, Selection
from shelfsight.settings import Settings

if TYPE_CHECKING:
    from shelfsight.storage.status import Status

EMBEDDED = "shelfsight"
"""Name of the database in the embedded Postgres."""


def home(settings: Settings) -> Path:
    """The folder of the embedded database and of what is built once."""
    return settings.home(root=hasattr(os, "geteuid") and os.geteuid() == 0)


def database_name(settings: Settings) -> str:
    """Where the products are, for people: never with a password."""
    if settings.database_url is None:
        return f"embedded Postgres in {home(settings)}"
    return Database(settings.database_url).host


@contextmanager
def open_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """The user's database, or the embedded one, which is started and prepared by itself.

    Raises:
        DatabaseError: it cannot be reached or started.
    """
    from shelfsight.storage import schema

    with _connected(settings, name) as database:
        if settings.database_url is None:
            schema.create(database)
        yield database


def init(settings: Settings, *, triggers: bool | None = None) -> list[str]:
    """Prepare the database; gives what was done. Triggers are created, dropped or (None) left.

    Raises:
        DatabaseError: it cannot be reached, or the role may not.
    """
    from shelfsight.storage import schema
    from shelfsight.storage.changes import triggers as of_shop

    with _connected(settings, EMBEDDED) as database:
        done = [f"created {name}" for name in schema.create(database)]
        if triggers is True:
            done += [f"created {name}" for name in of_shop.create(database)]
        elif triggers is False:
            done += [f"dropped {name}" for name in of_shop.drop(database)]
    return done


def is_back(settings: Settings) -> bool:
    """Whether the database can be reached; the embedded one is started again."""
    try:
        with open_database(settings) as database:
            database.run(lambda connection: connection.execute("SELECT"))
    except DatabaseError:
        return False
    return True


@contextmanager
def _connected(settings: Settings, name: str) -> Iterator[Database]:
    with ExitStack() as opening:
        url = settings.database_url
        if url is None:
            from shelfsight.embedded_postgres.instance import EmbeddedPostgres

            url = opening.enter_context(EmbeddedPostgres(home(settings), database=name))
        yield opening.enter_context(closing(Database(url)))


def catalog(settings: Settings, database: Database) -> Catalog:
    """The shop's products."""
    from shelfsight.catalog.postgres_catalog import PostgresCatalog

    return PostgresCatalog(database, images_per_product=settings.images_per_product)


def read_status(settings: Settings) -> "tuple[Status, Due]":
    """What is stored, and how much is due."""
    with open_database(settings) as database:
        return stored(database), catalog(settings, database).due(Selection())


def stored(database: Database) -> "Status":
    """What is stored."""
    from shelfsight.storage.status import read

    return read(database)

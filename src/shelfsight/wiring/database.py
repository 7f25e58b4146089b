"""Opens the database that holds the products: the user's own, or the embedded one."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Database, Transactions
from shelfsight.postgres.database_url import parse_database_url
from shelfsight.records import ModelPair
from shelfsight.settings import Settings

if TYPE_CHECKING:
    from shelfsight.catalog.content import Content
    from shelfsight.catalog.postgres_catalog import PostgresCatalog
    from shelfsight.embedded_postgres.upgrade import Upgraded

_LOG = logging.getLogger("shelfsight.postgres")

EMBEDDED = "shelfsight"
"""Name of the database within the embedded Postgres."""


def home(settings: Settings) -> Path:
    """Return the folder of the embedded database, and of the models that are converted once."""
    return settings.home(root=hasattr(os, "geteuid") and os.geteuid() == 0)


def database_name(settings: Settings) -> str:
    """Return the name of the database for people, without its password."""
    if settings.database_url is None:
        return f"embedded Postgres in {home(settings)}"
    return Database(settings.database_url).host


@contextmanager
def connect_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """Open the user's database, or start the embedded one; create no tables.

    Args:
        settings: `database_url` is the user's database; without it the embedded one is used.
        name: the database within the embedded Postgres.

    Raises:
        DatabaseError: the embedded Postgres cannot be started.
        SettingsError: the URL has a parameter that is not understood.
    """
    with ExitStack() as resources:
        url = settings.database_url
        if url is not None:
            _tell_what_is_left_out(url)
        else:
            from shelfsight.embedded_postgres.instance import EmbeddedPostgres

            url = resources.enter_context(EmbeddedPostgres(home(settings), database=name))
        yield resources.enter_context(closing(Database(url)))


@lru_cache
def _tell_what_is_left_out(url: str) -> None:
    """Say once in this process which parameters of the URL have no meaning here."""
    left_out = parse_database_url(url).left_out
    if left_out:
        _LOG.warning("DATABASE_URL: %s left out, for other clients only", ", ".join(left_out))


@contextmanager
def open_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """Open the user's database, or start the embedded one and create its tables.

    Raises:
        DatabaseError: the database cannot be reached or started.
        SchemaError: the tables are of an older or newer release, or missing.
    """
    from shelfsight.storage.migrations import version

    with open_any_version(settings, name=name) as database:
        database.run(version.check, read_only=True)
        yield database


@contextmanager
def open_any_version(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """Open the database as `open_database` does, but accept tables of any release, or none.

    Raises:
        DatabaseError: the database cannot be reached or started.
    """
    from shelfsight.storage import schema

    with connect_database(settings, name=name) as database:
        if settings.database_url is None:
            schema.create(database)
        yield database


def is_back(settings: Settings) -> bool:
    """Return whether the database can be reached; the embedded one is started if it is down."""
    try:
        with open_any_version(settings) as database:
            database.run(lambda connection: connection.execute("SELECT"))
    except DatabaseError:
        return False
    return True


def upgrade_embedded(settings: Settings, old_binaries: Path | None) -> "Upgraded | None":
    """Bring the embedded database to the installed Postgres; return None if it has that version.

    Raises:
        DatabaseError: this fails. The old data folder is in its place and works.
    """
    from shelfsight.embedded_postgres.upgrade import upgrade

    return upgrade(home(settings), old_binaries=old_binaries)


def content(settings: Settings) -> "Content":
    """Return what counts as the content of a product."""
    from shelfsight.catalog.content import Content, parse_text_fields

    fields = settings.product_text and parse_text_fields(settings.product_text)
    return Content(
        images_per_product=settings.images_per_product,
        ignored_parameters=settings.url_parameters,
        text_fields=fields or None,
        language=settings.text_language,
        time_zone=settings.shop_time_zone,
    )


def postgres_catalog(
    settings: Settings, database: Transactions, models: ModelPair | None = None
) -> "PostgresCatalog":
    """Return the catalogue of the shop's tables, for `models`.

    Without `models`, vectors of any model count as up to date.
    """
    from shelfsight.catalog.postgres_catalog import PostgresCatalog

    return PostgresCatalog(
        database,
        content=content(settings),
        models=models,
        settings=tuple(settings.fingerprints.values()),
    )

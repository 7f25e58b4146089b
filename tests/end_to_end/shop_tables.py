"""Write and read the shop's tables with plain SQL, as a user's own client does."""

from contextlib import closing
from typing import Any

import psycopg

from shelfsight.postgres.connection import Database
from shelfsight.storage import schema


def create_tables(url: str) -> None:
    """Create the tables as `shelfsight init` does, without starting a process."""
    with closing(Database(url)) as database:
        schema.create(database)


def run(url: str, query: str, values: object = None) -> list[tuple[Any, ...]]:
    """Run one statement in its own transaction; return its rows, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def add_product(url: str, title: str | None, *pictures: str, description: str | None = None) -> str:
    """Insert a product with its pictures in this order; return its id."""
    ((id_,),) = run(
        url,
        'INSERT INTO "ProductVariants" ("Title", "Description") VALUES (%s, %s) RETURNING "Id"',
        [title, description],
    )
    for position, picture in enumerate(pictures):
        run(
            url,
            'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")'
            " VALUES (%s, %s, %s)",
            [id_, picture, position],
        )
    return str(id_)


def stored(url: str) -> dict[str, dict[str, Any]]:
    """Return the rows of "ProductEmbeddings" by product title, with the vectors as text."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        rows = connection.execute(
            'SELECT v."Title", e.* FROM "ProductEmbeddings" AS e'
            ' JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"'
        ).fetchall()
    return {row["Title"]: row for row in rows}


def failures(url: str) -> dict[str, tuple[str, str, str]]:
    """Return stage, kind and message of each failure, by product title."""
    rows = run(
        url,
        'SELECT v."Title", f."Stage", f."Kind", f."Message"'
        ' FROM shelfsight."EmbeddingFailures" AS f'
        ' JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId"',
    )
    return {title: rest for title, *rest in rows}

"""What a user's own client sees of the shop: rows put in by hand, and rows read back."""

from contextlib import closing
from typing import Any

import psycopg

from shelfsight.postgres.connection import Database
from shelfsight.storage import schema


def create_tables(url: str) -> None:
    """Do what `shelfsight init` does, without its process."""
    with closing(Database(url)) as database:
        schema.create(database)


def run(url: str, query: str, values: object = None) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own; gives its rows, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def add_product(url: str, title: str | None, *pictures: str, description: str | None = None) -> str:
    """Put in a product with its pictures in this order; gives its id."""
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
    """Each product's row of "ProductEmbeddings" by the product's title; vectors as text."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        rows = connection.execute(
            'SELECT v."Title", e.* FROM "ProductEmbeddings" AS e'
            ' JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"'
        ).fetchall()
    return {row["Title"]: row for row in rows}


def failures(url: str) -> dict[str, tuple[str, str, str]]:
    """Stage, kind and message of what failed, by the product's title."""
    rows = run(
        url,
        'SELECT v."Title", f."Stage", f."Kind", f."Message" FROM "EmbeddingFailures" AS f'
        ' JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId"',
    )
    return {title: rest for title, *rest in rows}

"""Pixeltable, following its guides to computed columns and batched UDFs.

It stores the vectors in its own Postgres. The batch size is that of its own embedding functions.
"""

import os

from benchmarks.others import common

os.environ["PIXELTABLE_HOME"] = str(common.arguments().folder / "pixeltable")

import numpy as np
import pixeltable as pxt
import psycopg
from pgvector.psycopg import register_vector
from PIL import Image
from pixeltable.func import Batch

PACKAGE = "pixeltable"

ImageVector = pxt.Array[(common.IMAGE_WIDTH,), np.float32]
TextVector = pxt.Array[(common.TEXT_WIDTH,), np.float32]


@pxt.udf
def text_of(title: str, description: str) -> str:
    return common.text_of(title, description)


@pxt.udf(batch_size=32)
def embed_images(pictures: Batch[Image.Image]) -> Batch[ImageVector]:
    return common.models().images([common.resized(picture) for picture in pictures])


@pxt.udf(batch_size=32)
def embed_texts(texts: Batch[str]) -> Batch[TextVector]:
    return common.models().texts(texts)


@pxt.udf
def combined(image: ImageVector, text: TextVector) -> ImageVector:
    return common.combined(image, text)


def prepare(_source: str) -> None:
    pxt.init()
    common.models()


def pipeline(source: str) -> None:
    table = pxt.create_table(
        source,
        {"id": pxt.String, "title": pxt.String, "description": pxt.String, "picture": pxt.Image},
    )
    table.add_computed_column(image=embed_images(table.picture))
    table.add_computed_column(text=embed_texts(text_of(table.title, table.description)))
    table.add_computed_column(combined=combined(table.image, table.text))
    with psycopg.connect(common.arguments().database) as connection:
        rows = connection.execute(f"SELECT id, title, description, image_url FROM {source}")
        names = ("id", "title", "description", "picture")
        table.insert([dict(zip(names, row, strict=True)) for row in rows])


def export(source: str) -> None:
    """Copy the vectors to the common database, for the comparison; this is not timed."""
    table = pxt.get_table(source)
    columns = table.select(table.id, table.image, table.text, table.combined)
    with psycopg.connect(common.arguments().database) as connection:
        register_vector(connection)
        connection.execute(common.create_table(f"{source}_pixeltable"))
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {source}_pixeltable VALUES (%s, %s, %s, %s)",
                [tuple(row.values()) for row in columns.collect()],
            )

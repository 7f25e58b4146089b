"""Daft, following its guides to images, classes and PostgreSQL.

It uses the native runner, its default on one machine, and its default of 32 download connections.
"""

import daft
import numpy as np
from benchmarks.others import common
from daft import DataType, Series, col
from daft.catalog import Catalog
from sqlalchemy import Connection, create_engine

PACKAGE = "daft"
BATCH_SIZE = 64
IMAGE = DataType.embedding(DataType.float32(), common.IMAGE_WIDTH)
TEXT = DataType.embedding(DataType.float32(), common.TEXT_WIDTH)
PIXELS = DataType.tensor(DataType.uint8(), (common.SIDE, common.SIDE, 3))


@daft.func(return_dtype=PIXELS)
def pixels(data: bytes) -> np.ndarray:
    return common.pixels(data)


@daft.func(return_dtype=DataType.string())
def text_of(title: str, description: str) -> str:
    return common.text_of(title, description)


@daft.func(return_dtype=IMAGE)
def combined(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return common.combined(image, text)


@daft.cls
class Embed:
    """Embeds pictures and texts."""

    def __init__(self) -> None:
        self.models = common.models()

    @daft.method.batch(return_dtype=IMAGE, batch_size=BATCH_SIZE)
    def images(self, pictures: Series) -> list[np.ndarray]:
        return self.models.images(pictures.to_pylist())

    @daft.method.batch(return_dtype=TEXT, batch_size=BATCH_SIZE)
    def texts(self, texts: Series) -> list[np.ndarray]:
        return self.models.texts(texts.to_pylist())


def prepare(_source: str) -> None:
    common.models()


def pipeline(source: str) -> None:
    embed = Embed()
    database = common.arguments().database
    frame = (
        daft.read_sql(f"SELECT * FROM {source}", lambda: connected(database))
        .with_column("pixels", pixels(col("image_url").download()))
        .with_column("image", embed.images(col("pixels")))
        .with_column("text", embed.texts(text_of(col("title"), col("description"))))
        .with_column("combined", combined(col("image"), col("text")))
        .select("id", "image", "text", "combined")
    )
    catalog = Catalog.from_postgres(database)
    catalog.create_table(f"{source}_daft", frame.schema()).append(frame)


def connected(database: str) -> Connection:
    return create_engine(database.replace("postgresql://", "postgresql+psycopg://")).connect()

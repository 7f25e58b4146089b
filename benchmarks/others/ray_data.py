"""Ray Data, as its guides to images, to batch inference and to databases are written.

One actor for the models, which use all cores; the CPUs it does not reserve fetch and decode.
"""

from functools import partial

import psycopg
import ray
from benchmarks.others import alike
from pgvector.psycopg import register_vector
from ray.data import ActorPoolStrategy, DataContext
from ray.data.expressions import download

PACKAGE = "ray"
BATCH_SIZE = 64

LOGICAL_CPUS = 4
"""The planner of downloads and the models reserve one each: with no more, nothing is downloaded."""


class Embed:
    """The models, of an actor."""

    def __init__(self) -> None:
        self.models = alike.models()

    def __call__(self, batch: dict) -> dict:
        images = self.models.images(list(batch["pixels"]))
        texts = self.models.texts(list(batch["text"]))
        pairs = zip(images, texts, strict=True)
        return {
            "id": batch["id"],
            "image": images,
            "text": texts,
            "combined": [alike.combined(image, text) for image, text in pairs],
        }


def prepared(row: dict) -> dict:
    return {
        "id": row["id"],
        "pixels": alike.pixels(row["data"]),
        "text": alike.text_of(row["title"], row["description"]),
    }


def prepare(source: str) -> None:
    if not ray.is_initialized():
        ray.init(
            "local",
            num_cpus=LOGICAL_CPUS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        DataContext.get_current().enable_progress_bars = False
    with connect(alike.arguments().database) as connection:
        connection.execute(alike.create_table(f"{source}_ray"))


def pipeline(source: str) -> None:
    connected = partial(connect, alike.arguments().database)
    (
        ray.data.read_sql(f"SELECT * FROM {source}", connected)
        .with_column("data", download("image_url"))
        .map(prepared)
        .map_batches(Embed, batch_size=BATCH_SIZE, compute=ActorPoolStrategy(size=1))
        .write_sql(f"INSERT INTO {source}_ray VALUES (%s, %s, %s, %s)", connected)
    )


def connect(database: str) -> psycopg.Connection:
    connection = psycopg.connect(database)
    register_vector(connection)
    return connection

"""Ray Data, following its guides to images, batch inference and databases.

One actor runs the models, which use all cores; the other logical CPUs fetch and decode.
"""

from functools import partial

import psycopg
import ray
from benchmarks.others import common
from pgvector.psycopg import register_vector
from ray.data import ActorPoolStrategy, DataContext
from ray.data.expressions import download

PACKAGE = "ray"
BATCH_SIZE = 64

LOGICAL_CPUS = 4
"""The download planner and the models reserve one each; with only two, nothing is downloaded."""


class Embed:
    """The actor that runs the models."""

    def __init__(self) -> None:
        self.models = common.models()

    def __call__(self, batch: dict) -> dict:
        images = self.models.images(list(batch["pixels"]))
        texts = self.models.texts(list(batch["text"]))
        pairs = zip(images, texts, strict=True)
        return {
            "id": batch["id"],
            "image": images,
            "text": texts,
            "combined": [common.combined(image, text) for image, text in pairs],
        }


def prepared(row: dict) -> dict:
    return {
        "id": row["id"],
        "pixels": common.pixels(row["data"]),
        "text": common.text_of(row["title"], row["description"]),
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
    with connect(common.arguments().database) as connection:
        connection.execute(common.create_table(f"{source}_ray"))


def pipeline(source: str) -> None:
    connected = partial(connect, common.arguments().database)
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

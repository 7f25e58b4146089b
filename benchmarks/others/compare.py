"""Run the systems alternately over the same products, and compare their vectors."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.backfill_overhead import fill
from benchmarks.suite.harness import draw_pictures, served
from pgvector.psycopg import register_vector

from shelfsight.postgres.connection import Connection, Database

ROOT = Path(__file__).parents[2]
OURS = "shelfsight"
MODULES = {
    OURS: "shelfsight_backfill",
    "cocoindex": "cocoindex_flow",
    "pixeltable": "pixeltable_table",
    "daft": "daft_frame",
    "ray": "ray_data",
}
NO_TELEMETRY = {"COCOINDEX_DISABLE_USAGE_TRACKING": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Environment variables that turn off telemetry, which would also cost time."""

SOURCES = ("first_product", "one_product", "all_products")

FLAT = """
    DROP TABLE IF EXISTS first_product, one_product, all_products;
    CREATE TABLE all_products AS
      SELECT "Sku" AS id, "Title" AS title, "Description" AS description, "ImageUrl" AS image_url
      FROM "ProductVariants" AS v JOIN "ProductImages" AS i ON i."ProductVariantId" = v."Id";
    CREATE TABLE first_product AS
      SELECT 'first' AS id, title, description, image_url || '?first' AS image_url
      FROM all_products LIMIT 1;
    CREATE TABLE one_product AS
      SELECT 'one' AS id, title, description, image_url || '?one' AS image_url
      FROM all_products LIMIT 1;
"""

VECTORS = 'SELECT id, image, "text", combined FROM all_products_{system} ORDER BY id'
OUR_VECTORS = """
    SELECT v."Sku", e."ImageEmbedding", e."TextEmbedding", e."CombinedEmbedding"
    FROM "ProductEmbeddings" AS e JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"
    ORDER BY v."Sku"
"""


@dataclass(frozen=True, slots=True)
class Timings:
    """The timings of one run: seconds for one product, and for all products."""

    version: str
    one: float
    all: float

    @property
    def seconds(self) -> float:
        """Seconds for all products, without the start-up cost that every pipeline pays."""
        return self.all - self.one


@contextmanager
def shop(database: Database, home: Path, products: int) -> Iterator[None]:
    """Create the products, as shelfsight's tables and as flat ones, and serve their pictures."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        draw_pictures(Path(folder), products)
        with served("benchmarks.suite.image_host", folder) as host:
            database.run(lambda connection: fill(connection, products, host))
            database.run(lambda connection: connection.execute(FLAT))
            yield


def run_alternately(
    database: Database, home: Path, interpreters: dict[str, Path], rounds: int
) -> dict[str, list[Timings]]:
    """Run each system in its own process, in alternating order from round to round.

    Raises:
        SystemExit: a system failed.
    """
    timings: dict[str, list[Timings]] = {system: [] for system in interpreters}
    for number in range(rounds):
        for system in interpreters if number % 2 else reversed(interpreters):
            database.run(lambda connection, system=system: clear(connection, system))
            with tempfile.TemporaryDirectory(dir=home) as folder:
                timings[system].append(
                    run_system(interpreters[system], system, database.url, folder)
                )
    return timings


def cosines(database: Database, systems: list[str]) -> dict[str, float]:
    """Return the smallest cosine between our vectors and those of each system.

    Raises:
        SystemExit: a system has other products, or other vectors.
    """
    ours = vectors(database, OUR_VECTORS)
    return {
        system: least_cosine(ours, vectors(database, VECTORS.format(system=system)))
        for system in systems
    }


def clear(connection: Connection, system: str) -> None:
    """Drop the tables of a system's previous round."""
    for source in SOURCES:
        connection.execute(f"DROP TABLE IF EXISTS {source}_{system}")


def run_system(interpreter: Path, system: str, url: str, folder: str) -> Timings:
    """Run one system's pipeline; on failure, exit with the end of its log."""
    arguments = ["--database", url, "--folder", folder]
    run = subprocess.run(
        [interpreter, "-m", "benchmarks.others.run_pipeline", MODULES[system], *arguments],
        env={**os.environ, **NO_TELEMETRY, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    if run.returncode:
        raise SystemExit(f"{system} failed:\n{run.stderr[-3000:]}")
    return Timings(**json.loads(run.stdout.splitlines()[-1]))


def vectors(database: Database, query: str) -> tuple[list[str], list[np.ndarray]]:
    """Return the ids in order, and one array of shape (products, width) per kind of vector."""

    def work(connection: Connection) -> tuple[list[str], list[np.ndarray]]:
        register_vector(connection)
        ids, *columns = zip(*connection.execute(query), strict=True)
        return list(ids), [np.array([v.to_numpy() for v in column]) for column in columns]

    return database.run(work)


def least_cosine(
    ours: tuple[list[str], list[np.ndarray]], theirs: tuple[list[str], list[np.ndarray]]
) -> float:
    """Return the smallest cosine between our vectors and theirs, over all products.

    Raises:
        SystemExit: the products differ, or a cosine is below 0.999.
    """
    if ours[0] != theirs[0]:
        raise SystemExit("not the same products")
    least = min(
        float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
        for a, b in zip(ours[1], theirs[1], strict=True)
    )
    if least < 0.999:
        raise SystemExit(f"not the same vectors: cosine {least}")
    return least

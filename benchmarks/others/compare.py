"""Running the systems in turn, over the same products."""

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
from benchmarks.suite.shop import draw_pictures, served
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
QUIET = {"COCOINDEX_DISABLE_USAGE_TRACKING": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Nobody outside is told of the benchmark, or waited for."""

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
class Told:
    """What a program printed: seconds of one product, and of all."""

    version: str
    one: float
    all: float

    @property
    def seconds(self) -> float:
        """Of all products, without what is started anew with every pipeline."""
        return self.all - self.one


@contextmanager
def shop(database: Database, home: Path, products: int) -> Iterator[None]:
    """The products, as ours and as flat tables, while a host has their pictures."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        draw_pictures(Path(folder), products)
        with served("benchmarks.suite.image_host", folder) as host:
            database.run(lambda connection: fill(connection, products, host))
            database.run(lambda connection: connection.execute(FLAT))
            yield


def in_turn(
    database: Database, home: Path, interpreters: dict[str, Path], rounds: int
) -> dict[str, list[Told]]:
    """Run each in a process of its own, the other way round in every other round.

    Raises:
        SystemExit: one failed, or has not the vectors that ours has.
    """
    told: dict[str, list[Told]] = {system: [] for system in interpreters}
    for number in range(rounds):
        for system in interpreters if number % 2 else reversed(interpreters):
            database.run(lambda connection, system=system: clear(connection, system))
            with tempfile.TemporaryDirectory(dir=home) as folder:
                told[system].append(program(interpreters[system], system, database.url, folder))
    return told


def cosines(database: Database, systems: list[str]) -> dict[str, float]:
    """The least between our vectors and each system's."""
    ours = vectors(database, OUR_VECTORS)
    return {
        system: least_cosine(ours, vectors(database, VECTORS.format(system=system)))
        for system in systems
    }


def clear(connection: Connection, system: str) -> None:
    """Drop what a system left of the round before."""
    for source in SOURCES:
        connection.execute(f"DROP TABLE IF EXISTS {source}_{system}")


def program(interpreter: Path, system: str, url: str, folder: str) -> Told:
    """Run one system's program; what it logs is shown where it fails."""
    asked = ["--database", url, "--folder", folder]
    run = subprocess.run(
        [interpreter, "-m", "benchmarks.others.program", MODULES[system], *asked],
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    if run.returncode:
        raise SystemExit(f"{system} failed:\n{run.stderr[-3000:]}")
    return Told(**json.loads(run.stdout.splitlines()[-1]))


def vectors(database: Database, query: str) -> tuple[list[str], list[np.ndarray]]:
    """Ids in order, and for each of the three vectors an array (products, width)."""

    def work(connection: Connection) -> tuple[list[str], list[np.ndarray]]:
        register_vector(connection)
        ids, *columns = zip(*connection.execute(query), strict=True)
        return list(ids), [np.array([v.to_numpy() for v in column]) for column in columns]

    return database.run(work)


def least_cosine(
    ours: tuple[list[str], list[np.ndarray]], theirs: tuple[list[str], list[np.ndarray]]
) -> float:
    """Of all products' three vectors.

    Raises:
        SystemExit: these are not the same products, or not the same vectors.
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

"""Shared helpers: draw pictures, start servers, and time a backfill."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from io import StringIO
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image

from shelfsight.backfill.pipeline import backfill
from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Selection
from shelfsight.settings import Settings, load
from shelfsight.wiring.pipeline import open_pipeline

BATCH_SIZE = 150


def draw_pictures(folder: Path, count: int, *, side: int = 600) -> list[bytes]:
    """Write `count` JPEG files of noisy colour patches to `folder`; return their bytes."""
    rng = np.random.default_rng(3)
    for number in range(count):
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        large = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        noisy = np.clip(large.astype(np.int16) + rng.integers(-6, 7, large.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=88)
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def empty(connection: Connection) -> None:
    """Delete all vectors and recorded failures."""
    connection.execute('TRUNCATE "ProductEmbeddings", shelfsight."EmbeddingFailures"')


@contextmanager
def served(module: str, *arguments: str) -> Iterator[str]:
    """Run a server module in its own process; yield the URL that it prints."""
    words = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def settings_for(**flags: object) -> Settings:
    """Return settings that allow fetching pictures from loopback."""
    return load({"allow_private_images": "127.0.0.1", "models": "lite", **flags})


def backfill_seconds(
    database: Database, settings: Settings, embedder: Embedder, *, expected: int
) -> float:
    """Backfill everything that is due and return the seconds it took.

    Raises:
        RuntimeError: not all of the `expected` products were embedded.
    """
    progress, report = LineProgress(StringIO()), Report()
    job = Job(selection=Selection(), batch_size=BATCH_SIZE, max_batches=0)
    with ExitStack() as stack:
        writing = stack.enter_context(closing(Database(database.url)))
        pipeline = stack.enter_context(open_pipeline(settings, writing, embedder, progress))
        start = time.perf_counter()
        backfill(pipeline, job, report, progress, Event())
        seconds = time.perf_counter() - start
    if report.combined != expected or report.failures:
        raise RuntimeError(f"{report.combined} of {expected} embedded, {report.failures}")
    return seconds


def texts_of(database: Database) -> Sequence[str]:
    """Return the embedded texts of all products, sorted."""

    def work(connection: Connection) -> list[str]:
        rows = connection.execute('SELECT "ProductText" FROM "ProductEmbeddings" ORDER BY 1')
        return [row[0] for row in rows]

    return database.run(work)

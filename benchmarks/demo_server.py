"""Run the demo with the models in this process and through an embedding server; compare.

Starts `shelfsight serve-models --models lite`, and compares all vectors that the two runs stored:

    python benchmarks/demo_server.py
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pgvector import Vector
from psycopg import Connection

from shelfsight.backfill.progress_output import choose
from shelfsight.demo import run
from shelfsight.settings import Settings, load
from shelfsight.wiring.database import open_database

SEED = 7
MIN_COSINE = 0.9999
VECTORS = ("ImageEmbedding", "TextEmbedding", "CombinedEmbedding")

Stored = dict[str, list[np.ndarray | None]]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home, served() as url:
        Path(home).chmod(0o755)
        settings = load({"shelfsight_home": home})
        print(f"== Models in this process\n{run_demo(settings, None)}\n", flush=True)
        print(f"== Through {url}\n{run_demo(settings, url)}\n", flush=True)
        return compare(read(settings, None), read(settings, url))


@contextmanager
def served() -> Iterator[str]:
    """Start an embedding server in its own process; yield its URL."""
    command = (sys.executable, "-m", "shelfsight", "serve-models", "--models=lite", "--port=0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            yield line.split(" at ")[1].split(";")[0]
        finally:
            server.terminate()


def run_demo(settings: Settings, server: str | None) -> str:
    """Run the demo; return the part of its output about scans."""
    lines: list[str] = []
    progress = choose(as_json=False, verbose=False)
    status = run.run(settings, run.Demo(seed=SEED, server=server), progress, lines.append)
    if status:
        sys.exit(status)
    start = next(n for n, line in enumerate(lines) if line.startswith("Scanning"))
    return "\n".join(lines[start:-1])  # the last says what to do next


def read(settings: Settings, server: str | None) -> Stored:
    """Return all stored vectors by SKU."""
    columns = ", ".join(f'e."{name}"' for name in VECTORS)
    query = (
        f'SELECT v."Sku", {columns} FROM "ProductEmbeddings" e'
        ' JOIN "ProductVariants" v ON v."Id" = e."ProductVariantId"'
    )

    def work(connection: Connection) -> Stored:
        rows: Sequence[tuple[str, *tuple[Vector | None, ...]]]
        rows = connection.execute(query).fetchall()
        return {sku: [v and v.to_numpy() for v in vectors] for sku, *vectors in rows}

    local = settings.model_copy(update={"database_url": None})
    with open_database(local, name=run.database_of(SEED, server)) as database:
        return database.run(work, read_only=True)


def compare(here: Stored, there: Stored) -> int:
    """Print the smallest cosine per kind of vector; return the exit status."""
    good = here.keys() == there.keys()
    print(f"Products with vectors: {len(here)} in this process, {len(there)} through the server")
    for column, name in enumerate(VECTORS):
        pairs = [(vectors[column], there[sku][column]) for sku, vectors in here.items()]
        good = good and all((a is None) == (b is None) for a, b in pairs)
        cosines = [float(a @ b) for a, b in pairs if a is not None and b is not None]
        good = good and min(cosines) >= MIN_COSINE
        print(f"{name:<18} {len(cosines):>4} pairs, smallest cosine {min(cosines):.6f}")
    print(f"The same to a cosine of {MIN_COSINE}" if good else "NOT THE SAME")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Compare shelfsight's backfill with CocoIndex, Pixeltable, Daft and Ray Data, run alternately.

    python -m benchmarks.others --install
    python -m benchmarks.others [--products 300] [--rounds 3] [--only SYSTEM ...]

Each system has its own virtual environment, with the versions that requirements/others.txt pins.
Systems that are not installed are named and skipped. See docs/comparison.md.
"""

import argparse
import os
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.others.compare import OURS, Timings, cosines, run_alternately, shop
from benchmarks.others.environments import install, installed, pinned
from rich.console import Console
from rich.table import Table

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.postgres.connection import Database
from shelfsight.storage import schema


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--install", action="store_true", help="only install the other systems")
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=pinned(), default=list(pinned()))
    arguments = parser.parse_args()
    if arguments.install:
        for system in arguments.only:
            install(system)
        return
    interpreters = installed(arguments.only)
    with tempfile.TemporaryDirectory(prefix="shelfsight-others-", dir="/var/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with EmbeddedPostgres(home / "postgres") as url, closing(Database(url)) as database:
            schema.create(database)
            with shop(database, home, arguments.products):
                timings = run_alternately(database, home, interpreters, arguments.rounds)
                least_cosines = cosines(database, [name for name in interpreters if name != OURS])
    console = Console(width=max(Console().width, 110))
    console.print(table(timings, least_cosines, arguments.products))
    load = " ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{arguments.products} products, {arguments.rounds} rounds, {os.cpu_count()} cores")
    print(f"load of the machine at the end: {load}")


def table(
    timings: dict[str, list[Timings]], least_cosines: dict[str, float], products: int
) -> Table:
    """Return the result as a table; each ratio compares two times of the same round."""
    drawn = Table(box=None, pad_edge=False)
    for name in ("system", "version", "products/s", "we are faster", "with its start", "cosine"):
        drawn.add_column(name)
    ours = timings[OURS]
    for system, runs in timings.items():
        steady = [run.seconds / our.seconds for run, our in zip(runs, ours, strict=True)]
        whole = [run.all / our.all for run, our in zip(runs, ours, strict=True)]
        drawn.add_row(
            system,
            runs[0].version,
            f"{(products - 1) / median(run.seconds for run in runs):.1f}",
            spread(steady),
            spread(whole),
            f"{least_cosines[system]:.6f}" if system in least_cosines else "",
        )
    return drawn


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} x ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    main()

"""Run the cases, print a table of their figures, and write the figures as JSON.

python -m benchmarks.suite [--quick] [--json FILE] [--only CASE ...]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.others.suite_case import others
from benchmarks.suite.cases import model_bound, network_bound, server_bound
from benchmarks.suite.context import BenchContext, Case
from benchmarks.suite.database_cases import database_bound
from benchmarks.suite.figure import Figure
from benchmarks.suite.search_case import search
from rich.console import Console
from rich.table import Table

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.postgres.connection import Database
from shelfsight.storage import schema

CASES: dict[str, Case] = {
    "model-bound": model_bound,
    "server-bound": server_bound,
    "network-bound": network_bound,
    "database-bound": database_bound,
    "search": search,
    "others": others,
}


def main() -> None:
    """Run the selected cases; exit with 0 if all of them ran, whatever they measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: check that the cases run, not how fast"
    )
    parser.add_argument("--large", action="store_true", help="also search among 1,000,000 products")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    console = Console(width=max(Console().width, 120))
    with tempfile.TemporaryDirectory(prefix="shelfsight-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with (
            EmbeddedPostgres(Path(folder) / "home") as url,
            closing(Database(url)) as database,
        ):
            schema.create(database)
            bench = BenchContext(
                database=database,
                folder=Path(folder),
                quick=arguments.quick,
                large=arguments.large,
            )
            for name in arguments.only:
                start = time.monotonic()
                with console.status(name):
                    figures += CASES[name](bench)
                console.print(f"{name}: {time.monotonic() - start:.0f} s", highlight=False)
    console.print(table(figures))
    arguments.json.write_text(json.dumps(as_json(figures, quick=arguments.quick), indent=2) + "\n")
    console.print(f"written to {arguments.json}", highlight=False)
    if arguments.quick:
        console.print("quick: these figures show that the cases run, not how fast anything is")
    sys.exit(0)


def table(figures: list[Figure]) -> Table:
    """Return the figures as a table to print."""
    drawn = Table(box=None, pad_edge=False)
    for name in ("case", "figure", "aim", "what"):
        drawn.add_column(name, no_wrap=name != "what")
    for figure in figures:
        drawn.add_row(*figure.columns())
    return drawn


def as_json(figures: list[Figure], *, quick: bool) -> dict[str, object]:
    """Return the figures with the versions and the machine they were measured on."""
    return {
        "quick": quick,
        "shelfsight": version("shelfsight"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "figures": [
            {**asdict(figure), "value": figure.value, "is_reached": figure.is_reached}
            for figure in figures
        ],
    }


if __name__ == "__main__":
    main()

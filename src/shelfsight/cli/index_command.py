"""The commands `shelfsight index build`, `drop` and `status`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.index.build import build as build_indexes
from shelfsight.storage.index.indexes import advice as index_advice
from shelfsight.storage.index.indexes import drop as drop_indexes
from shelfsight.storage.index.indexes import read as read_indexes
from shelfsight.storage.index.recall import exact_milliseconds
from shelfsight.storage.index.recall import tune as tune_indexes
from shelfsight.wiring.database import database_name, open_database

if TYPE_CHECKING:
    from shelfsight.storage.index.build import BuildObserver, BuildProgress
    from shelfsight.storage.index.indexes import IndexState

_HEAD = """\
 index                    | state    |     size |      rows | a search without it
--------------------------+----------+----------+-----------+--------------------"""


@click.group()
def index() -> None:
    """Build, drop and measure indexes for fast search.

    Without an index, a scan compares all products. That is exact, and fast for up to some thousand
    products. With an index, a scan takes milliseconds for any number of products, but misses a
    similar product now and then; `build` measures how often. Scans use an index as soon as it
    exists.
    """


@index.command(cls=Command, settings=DATABASE)
def build(settings: Settings) -> None:
    """Build what is missing or broken, and measure how many true neighbours are found.

    Searches then look as far in each index as the measurement says is necessary (hnsw.ef_search).
    Run this again when the catalogue has grown to several times its size.

    The shop keeps working meanwhile. On Ctrl-C the index that is being built is dropped, and
    finished indexes stay. Through a connection pooler, the server's own maintenance_work_mem and
    statement_timeout apply, so connect directly.
    """
    click.echo(f"Database: {database_name(settings)}")
    with open_database(settings) as database:
        with _watching() as observer:
            built = build_indexes(database, observer)
        if not built:
            click.echo("All indexes are there already.")
        for line in tune_indexes(database):
            click.echo(line)


@index.command(cls=Command, settings=DATABASE)
def drop(settings: Settings) -> None:
    """Drop our indexes, and no others; scans compare every product then.

    The command waits for transactions that use these indexes.
    """
    with open_database(settings) as database:
        names = drop_indexes(database)
    click.echo(f"Dropped {', '.join(names)}" if names else "There are no indexes to drop.")


@index.command(cls=Command, settings=DATABASE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(settings: Settings, as_json: bool) -> None:
    """Show each index: whether it is valid, its size, and what a search takes without it.

    The search time is measured in the server, over at most 5,000 products, and scaled up.
    """
    with open_database(settings) as database:
        found = read_indexes(database)
        times = [exact_milliseconds(database, one) for one in found]
    advice = index_advice(found)
    if as_json:
        rows = [_fields(one, time) for one, time in zip(found, times, strict=True)]
        click.echo(json.dumps({"indexes": rows, "advice": advice}))
        return
    click.echo(f"Database: {database_name(settings)}")
    click.echo(_HEAD)
    for one, time in zip(found, times, strict=True):
        click.echo(_line(one, time))
    if any(one.state == "missing" for one in found):
        click.echo(advice or "So few products are searched fast without indexes.")
    elif advice:
        click.echo(advice)


def _fields(one: "IndexState", time: float | None) -> dict[str, object]:
    return {
        "name": one.index.name,
        "column": one.index.column,
        "state": one.state,
        "size": one.size,
        "rows": one.rows,
        "exact_ms": time and round(time, 1),
    }


def _line(one: "IndexState", time: float | None) -> str:
    size = f"{one.size / 1e6:.0f} MB" if one.size else ""
    takes = "" if time is None else f"about {time:.0f} ms"
    return f" {one.index.name:<24} | {one.state:<8} | {size:>8} | {one.rows:>9} | {takes}".rstrip()


@contextmanager
def _watching() -> "Iterator[BuildObserver]":
    """Return a live bar on a terminal, or an observer that prints lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield BuildLogger(click.echo)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        yield _Bar(bar)


class _Bar:
    """One live bar for all index builds; it shows the phase of the current build."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def update(self, progress: "BuildProgress") -> None:
        """Move the bar to the progress of the current build."""
        self._bar.update(
            self._task,
            description=f"{progress.name}: {progress.phase}",
            total=progress.total or None,
            completed=progress.done,
        )

    def notify(self, message: str) -> None:
        """Print the message above the bar."""
        self._bar.console.print(message, highlight=False, markup=False)

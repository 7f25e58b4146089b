"""The command `shelfsight runs`, which lists the runs of the backfill."""

import json
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from shelfsight.backfill.runs import Run
from shelfsight.cli.options import DATABASE, Command
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.wiring.database import open_database


@click.command(cls=Command, settings=DATABASE)
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def runs(settings: Settings, limit: int, as_json: bool) -> None:
    """List the runs of the backfill.

    Each run is shown with its selection, its workers and its results. Incomplete products have a
    vector, but lack a picture or their text. `running`: a worker is active. `stopped`: no worker is
    active, and work is left; the same command continues the run. `replaced`: a later run took over
    the remaining work. `done`: no work is left.
    """
    with open_database(settings) as database:
        found = PostgresLedger(database).runs(limit)
    if as_json:
        for run in found:
            click.echo(json.dumps(_fields(run), ensure_ascii=False))
    elif found:
        Console().print(_table(found))
    else:
        click.echo("No run yet; start one: shelfsight backfill")


def _table(found: list[Run]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("Run", "Began", "State", "Asked"):
        table.add_column(name)
    for name in ("Due", "Done", "Embedded", "Incomplete", "Failed"):
        table.add_column(name, justify="right")
    for run in found:
        outcomes = (run.counts.get(name, 0) for name in ("embedded", "incomplete", "failed"))
        counts = (run.due, run.done, *outcomes)
        table.add_row(
            str(run.id), _local(run.began), _state(run), _asked(run), *(str(n) for n in counts)
        )
    return table


def _state(run: Run) -> str:
    if run.outcome != "running":
        return run.outcome
    return f"running ({run.workers} worker{'s' if run.workers > 1 else ''})"


def _asked(run: Run) -> str:
    """Return the conditions of the run's selection and its limit, in a few words."""
    ordinary = asdict(Selection())
    asked = {k: v for k, v in asdict(run.job.selection).items() if v != ordinary[k]}
    words = ["staged"] if run.job.staged else []
    words += [f"{name}={value}" for name, value in asked.items()]
    if run.job.limit is not None:
        a_call = " a call" if run.job.selection.stays_due else ""
        words.append(f"up to {run.job.limit}{a_call}")
    return ", ".join(words) or "all that is due"


def _local(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _fields(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "state": run.outcome,
        "workers": run.workers,
        "began": run.began and run.began.isoformat(),
        "ended": run.ended and run.ended.isoformat(),
        "asked": run.job.to_json(),
        "models": asdict(run.models),
        "due": run.due,
        **run.counts,
        "failures": run.failures,
    }

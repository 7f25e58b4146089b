"""The command `shelfsight models`, which shows or changes the models of the stored vectors."""

import json
from contextlib import closing
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from shelfsight.cli.model_list import lines
from shelfsight.cli.options import DATABASE, Command
from shelfsight.cli.version_report import (
    VectorVersion,
    VectorVersions,
    count_all_due,
    read_versions,
)
from shelfsight.errors import ModelError
from shelfsight.models.descriptions import as_json as as_json_rows
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.wiring.database import open_database

ACTIONS = ("switch", "rollback", "forget", "discard")
_CONFIGURED = ("models", "backend", "embedding_server_url", "images_per_product")


@click.command(cls=Command, settings=(*DATABASE, *_CONFIGURED))
@click.option("--switch", is_flag=True, help="Use the staged vectors; keep those that were in use.")
@click.option(
    "--incomplete",
    is_flag=True,
    help="Switch although products are due or failed in the staged set.",
)
@click.option("--rollback", is_flag=True, help="Use the previous vectors again, at once.")
@click.option("--forget", is_flag=True, help="Drop the previous vectors.")
@click.option("--discard", is_flag=True, help="Drop the staged vectors.")
@click.option("--list", "listed", is_flag=True, help="List what MODELS can name instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def models(
    settings: Settings, listed: bool, as_json: bool, incomplete: bool, **actions: bool
) -> None:
    """Show which models made the vectors, or change them.

    Vectors of two models cannot be compared. To change the models, run `shelfsight backfill
    --staged --all` with other MODELS or another server. This builds a second set of vectors in the
    schema shelfsight_next, while the set in use is searched and kept up to date. Then `--switch`
    builds the same indexes for the second set, and swaps the tables in one transaction. `--switch`
    refuses while a product that has a vector today is due or failed in the staged set (override:
    `--incomplete`).

    `--rollback` returns to the previous set just as quickly, until `--forget` deletes the previous
    set. `--discard` deletes the staged set. Restart `shelfsight serve` with the models in use.

    `--list` needs no database. It shows the pairs of models, with widths, licence and download.
    """
    chosen = [name for name in ACTIONS if actions[name]]
    _check_usage(chosen, incomplete=incomplete, listed=listed, as_json=as_json)
    if listed:
        click.echo(json.dumps(as_json_rows()) if as_json else "\n".join(lines()))
        return
    with open_database(settings) as database:
        if chosen:
            _change(settings, database, chosen[0], incomplete=incomplete)
            return
        found = read_versions(settings, database)
    if as_json:
        click.echo(json.dumps(_fields(found), default=str))
        return
    Console().print(_table(found))
    for line in _advice(found):
        click.echo(line)


def _check_usage(chosen: list[str], *, incomplete: bool, listed: bool, as_json: bool) -> None:
    if len(chosen) > 1:
        raise click.UsageError(f"one of --{', --'.join(ACTIONS)} at a time")
    if incomplete and chosen != ["switch"]:
        raise click.UsageError("--incomplete goes with --switch")
    if listed and chosen:
        raise click.UsageError("--list goes with --json only")
    if as_json and chosen:
        raise click.UsageError("--json shows what there is; leave the other flags out")


def _change(settings: Settings, database: Database, action: str, *, incomplete: bool) -> None:
    if action == "switch":
        _switch(settings, database, incomplete=incomplete)
    elif action == "rollback":
        _roll_back(settings, database)
    elif action == "forget":
        vector_versions.drop_previous(database)
        click.echo("Dropped the previous vectors.")
    else:
        vector_versions.drop_staged(database)
        click.echo("Dropped the staged vectors.")


def _switch(settings: Settings, database: Database, *, incomplete: bool) -> None:
    """Put the staged set in use, unless products would lose their vectors.

    Raises:
        ModelError: products are due or failed in the staged set, and `incomplete` is false.
    """
    with closing(vector_versions.open_staged(database)) as staged:
        due = count_all_due(settings, staged)
    lost = vector_versions.count_lost(database)
    if (due or lost) and not incomplete:
        raise ModelError(
            f"{due} products are due in the staged set, and {lost} failed there that have a vector"
            " in use; go on with shelfsight backfill --staged --all, or switch all the same:"
            " --incomplete"
        )
    _name_readers(switch(database, BuildLogger(click.echo)))
    click.echo("Switched. Undo: shelfsight models --rollback")
    click.echo("Drop the previous vectors: shelfsight models --forget")
    click.echo("Restart shelfsight serve with the new models: with the old ones it answers 503 now")
    if left := count_all_due(settings, database):
        click.echo(f"{left} products are due: shelfsight backfill --all")


def _roll_back(settings: Settings, database: Database) -> None:
    _name_readers(roll_back(database))
    click.echo("Rolled back: what was in use is staged again (shelfsight models --switch)")
    if left := count_all_due(settings, database):
        click.echo(f"{left} products have changed since and are due: shelfsight backfill --all")


def _name_readers(names: list[str]) -> None:
    for name in names:
        click.echo(f"{name} goes on reading the old table: create it again")


def _versions(found: VectorVersions) -> dict[str, VectorVersion]:
    all_ = {"in use": found.in_use, "staged": found.staged, "previous": found.previous}
    return {name: one for name, one in all_.items() if one is not None}


def _table(found: VectorVersions) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("Where", "Vectors", "Model"):
        table.add_column(name)
    for name in ("Count", "Due"):
        table.add_column(name, justify="right")
    for where, one in _versions(found).items():
        rows = [(made.kind, made.model or "not known", str(made.count)) for made in one.made]
        for number, row in enumerate(rows or [("", "none yet", "0")]):
            first = (where, str(one.due)) if number == 0 else ("", "")
            table.add_row(first[0], *row, first[1])
    return table


def _advice(found: VectorVersions) -> list[str]:
    """Return what to do next, as lines for people."""
    lines = []
    if found.replaced and found.staged is None:
        counts = " and ".join(f"{one.count} {one.kind} vectors" for one in found.replaced)
        lines.append(
            f"The models of the settings would replace {counts}: shelfsight backfill --staged --all"
        )
    if found.staged is not None and (found.staged.due or found.staged.lost):
        lines.append(
            f"{found.staged.due} products are due in the staged set, and {found.staged.lost} failed"
            " there that have a vector in use: shelfsight backfill --staged --all"
        )
    elif found.staged is not None:
        lines.append("The staged set is complete: shelfsight models --switch")
    if found.previous is not None:
        since = (
            f"{found.previous.since.astimezone():%Y-%m-%d %H:%M}" if found.previous.since else "?"
        )
        lines.append(f"The previous vectors are kept since {since}: --rollback, or --forget")
    return lines


def _fields(found: VectorVersions) -> dict[str, Any]:
    versions = _versions(found)
    return {
        **{
            name.replace(" ", "_"): asdict(versions[name]) if name in versions else None
            for name in ("in use", "staged", "previous")
        },
        "configured": found.configured and asdict(found.configured),
        "replaced": [asdict(one) for one in found.replaced],
    }

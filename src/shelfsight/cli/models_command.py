"""`shelfsight models`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from shelfsight import wiring
from shelfsight.cli.options import DATABASE, Command
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings

if TYPE_CHECKING:
    from shelfsight.wiring.model_versions import VectorVersion, VectorVersions

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
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def models(settings: Settings, as_json: bool, incomplete: bool, **actions: bool) -> None:
    """Show which models made the vectors, and change over to others.

    Vectors of two models cannot be compared. `shelfsight backfill --staged --all`, with other
    MODELS or another server, builds a second set in the schema shelfsight_next, while the one in
    use is searched and kept up to date. `--switch` builds the same indexes for it and then puts it
    in place, in one transaction; `--rollback` does the reverse. What is not in use has its disk
    space until `--forget` or `--discard`. Servers of scans must have the models in use.
    """
    chosen = [name for name in ACTIONS if actions[name]]
    if len(chosen) > 1:
        raise click.UsageError(f"one of --{', --'.join(ACTIONS)} at a time")
    if incomplete and chosen != ["switch"]:
        raise click.UsageError("--incomplete goes with --switch")
    if as_json and chosen:
        raise click.UsageError("--json shows what there is; leave the other flags out")
    with wiring.open_database(settings) as database:
        if chosen:
            _change(settings, database, chosen[0], incomplete=incomplete)
            return
        found = wiring.read_models(settings, database)
    if as_json:
        click.echo(json.dumps(_fields(found), default=str))
        return
    Console().print(_table(found))
    for line in _advice(found):
        click.echo(line)


def _change(settings: Settings, database: Database, action: str, *, incomplete: bool) -> None:
    if action == "switch":
        wiring.switch_models(settings, database, click.echo, incomplete=incomplete)
    elif action == "rollback":
        wiring.roll_back_models(settings, database, click.echo)
    elif action == "forget":
        wiring.forget_models(database)
        click.echo("Dropped the previous vectors.")
    else:
        wiring.discard_models(database)
        click.echo("Dropped the staged vectors.")


def _versions(found: "VectorVersions") -> "dict[str, VectorVersion]":
    all_ = {"in use": found.in_use, "staged": found.staged, "previous": found.previous}
    return {name: one for name, one in all_.items() if one is not None}


def _table(found: "VectorVersions") -> Table:
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


def _advice(found: "VectorVersions") -> list[str]:
    """What to do next, in a line each."""
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


def _fields(found: "VectorVersions") -> dict[str, Any]:
    versions = _versions(found)
    return {
        **{
            name.replace(" ", "_"): asdict(versions[name]) if name in versions else None
            for name in ("in use", "staged", "previous")
        },
        "configured": found.configured and asdict(found.configured),
        "replaced": [asdict(one) for one in found.replaced],
    }

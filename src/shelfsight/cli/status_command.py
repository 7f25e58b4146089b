"""The command `shelfsight status`."""

import json
from dataclasses import asdict

import click

from shelfsight.backfill.pipeline import no_product
from shelfsight.cli.options import DATABASE, PICTURES, Command
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.database import database_name


@click.command(cls=Command, settings=(*DATABASE, *PICTURES))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(settings: Settings, as_json: bool) -> None:
    """Show what is embedded, what is due, and what failed.

    The products that are due are those that the next backfill would embed: products that are new or
    changed, and failed products whose time for another attempt has come.
    """
    with Shop(settings) as shop:
        stored, due = shop.status(), shop.due()
    if as_json:
        click.echo(json.dumps({**asdict(stored), "due": due.products}, ensure_ascii=False))
        return
    click.echo(f"Database: {database_name(settings)}")
    click.echo("\n".join(stored.lines()))
    if not due.selected:
        click.echo(no_product(Selection()))
    click.echo(
        f"Due: {due.products}" + (" (run: shelfsight backfill --all)" if due.products else "")
    )

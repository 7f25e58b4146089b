"""The command `shelfsight status`."""

import json
from dataclasses import asdict

import click

from shelfsight.backfill.pipeline import no_product
from shelfsight.cli.options import CATALOGUE, DATABASE, Command
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.database import database_name
from shelfsight.wiring.product_text import text_summary


@click.command(cls=Command, settings=(*DATABASE, *CATALOGUE))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(settings: Settings, as_json: bool) -> None:
    """Show what is embedded, what is due, and what failed.

    The products that are due are those that the next backfill would embed: products that are new or
    changed, and failed products whose time for another attempt has come.
    """
    with Shop(settings) as shop:
        stored, due, fields = shop.status(), shop.due(), shop.text_fields()
    if as_json:
        counts = {**asdict(stored), "due": due.products, "text_fields": fields}
        click.echo(json.dumps(counts, ensure_ascii=False))
        return
    click.echo(f"Database: {database_name(settings)}")
    click.echo("\n".join(stored.lines()))
    click.echo(f"Texts: {text_summary(settings, fields)}")
    if not due.selected:
        click.echo(no_product(Selection()))
    click.echo(
        f"Due: {due.products}" + (" (run: shelfsight backfill --all)" if due.products else "")
    )

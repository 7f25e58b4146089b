"""The commands `shelfsight init` and `shelfsight status`."""

import json
from dataclasses import asdict

import click

from shelfsight.backfill.pipeline import no_product
from shelfsight.cli.options import DATABASE, PICTURES, Command
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.database import database_name


@click.command(cls=Command, settings=DATABASE)
@click.option(
    "--triggers/--drop-triggers",
    default=None,
    help="Triggers on your tables that tell `shelfsight watch` of changes; left as they are unless"
    " one of the two is given.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Where a backfill or watch is at work that an upgrade of the tables would break: wait"
    " until it has ended.",
)
def init(settings: Settings, triggers: bool | None, wait: bool) -> None:
    """Create the tables and columns that are missing, and upgrade those of an older release.

    These are the extension vector, the tables Products, ProductVariants, ProductImages and
    ProductEmbeddings, missing columns of ProductEmbeddings, and the schema shelfsight with the
    tables EmbeddingFailures, EmbeddingQueue, BackfillRuns, BackfillLeases, CatalogueColumns,
    ScanMeans, ScanFeedback and ApiKeys. Foreign keys to your products that older releases made are
    dropped. Your other tables are left as they are. Run it as often as you like.
    """
    with Shop(settings) as shop:
        done = shop.init(triggers=triggers, wait=click.echo if wait else None)
    click.echo(f"Database: {database_name(settings)}")
    for what in done or ["created nothing: all is there"]:
        click.echo(f"  {what}")


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

"""The commands `shelfsight init`, `shelfsight import` and `shelfsight status`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from shelfsight.backfill.pipeline import no_product
from shelfsight.catalog.imports.import_file import count_products
from shelfsight.catalog.imports.import_file import import_file as import_products
from shelfsight.cli.options import DATABASE, PICTURES, Command
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.database import database_name, open_database


@click.command(cls=Command, settings=DATABASE)
@click.option(
    "--triggers/--drop-triggers",
    default=None,
    help="Triggers on your tables that tell `shelfsight watch` of changes; left as they are unless"
    " one of the two is given.",
)
def init(settings: Settings, triggers: bool | None) -> None:
    """Create the tables and columns that are missing.

    These are the extension vector, the tables Products, ProductVariants, ProductImages,
    ProductEmbeddings, EmbeddingFailures, EmbeddingQueue, BackfillRuns, BackfillLeases, ScanMeans,
    ScanFeedback and ApiKeys, and missing columns of ProductEmbeddings, EmbeddingFailures and
    BackfillLeases. Your other tables are left as they are. Run it as often as you like.
    """
    with Shop(settings) as shop:
        done = shop.init(triggers=triggers)
    click.echo(f"Database: {database_name(settings)}")
    for what in done or ["created nothing: all is there"]:
        click.echo(f"  {what}")


@click.command("import", cls=Command, settings=DATABASE)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read the file and name bad lines; write nothing.")
def import_file(settings: Settings, file: Path, dry_run: bool) -> int:
    """Import products from a CSV, Shopify or JSONL file.

    FILE is a CSV, a Shopify product export, or JSONL. A CSV needs a column sku, and may have title,
    description, price, image (or images, several divided by |), barcode, owner and category. A
    product is recognised by its SKU, so the same file can be imported again. Bad lines are
    reported, and all other lines are imported.

    Exit status: 0 done; 2 the file cannot be read as products; 3 done, but some lines were bad.
    """
    bad = 0

    def complain(line: int, reason: str) -> None:
        nonlocal bad
        bad += 1
        click.echo(f"{file}:{line}: {reason}", err=True)

    if dry_run:
        click.echo(f"{count_products(file, complain)} products could be imported")
    else:
        with open_database(settings) as database:
            imported = import_products(database, file, complain)
        counts = f"{imported.new} new, {imported.changed} changed, {imported.unchanged} unchanged"
        click.echo(f"Imported {file}: {counts}, {bad} bad lines")
    return 3 if bad else 0


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

"""The commands `shelfsight init`, `shelfsight import` and `shelfsight status`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from shelfsight.backfill.pipeline import no_product
from shelfsight.catalog.imports.import_file import import_file as import_products
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import BadLine
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


@click.command("import", cls=Command, settings=DATABASE)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Count what would change; write nothing.")
@click.option("--clear-empty", is_flag=True, help="An empty cell empties the stored value.")
@click.option(
    "--complete",
    is_flag=True,
    help="The file is the whole catalogue: archive the products that it lacks, and restore archived"
    " ones that it has.",
)
@click.option(
    "--yes", is_flag=True, help="Archive without asking, however many products there are."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def import_file(settings: Settings, file: Path, yes: bool, as_json: bool, **options: bool) -> int:
    """Import products from a CSV, Shopify or JSONL file.

    FILE is a CSV, a Shopify product export, or JSONL. A CSV needs a column sku, and may have title,
    description, price, image (or images, several divided by |), barcode, options, owner, category
    and product_key. A product is recognised by its SKU, so the same file can be imported again. A
    column that the file lacks leaves the stored values as they are, and so does an empty cell,
    unless `--clear-empty` is given. Bad lines are reported, and all other lines are imported.

    With `--complete`, products that the file lacks are archived. If the file names owners, only
    products of these owners are. More than 20% of the products are archived only after a
    confirmation or with `--yes`, and none while a line is bad.

    Exit status: 0 done; 1 not confirmed, nothing was written; 2 the file cannot be read as
    products; 3 done, but some lines were bad.
    """
    chosen = ImportOptions(**options)
    if yes and not chosen.complete:
        raise click.UsageError("--yes goes with --complete")

    def complain(bad: BadLine) -> None:
        click.echo(f"{file}:{bad.line}: {bad.reason}", err=True)

    def confirm(missing: int, living: int) -> bool:
        return yes or _ask(file, missing, living)

    with open_database(settings) as database:
        summary = import_products(database, file, chosen, complain, confirm)
    if as_json:
        click.echo(json.dumps({**summary.counts(), "dry_run": chosen.dry_run}))
    else:
        click.echo(_imported(file, summary, chosen))
    if chosen.complete and summary.bad_lines:
        click.echo("Nothing was archived because of the bad lines: mend them first", err=True)
    return 3 if summary.bad_lines else 0


def _ask(file: Path, missing: int, living: int) -> bool:
    """Ask on the terminal whether to archive so many products; False if there is no terminal."""
    question = f"{file} lacks {missing} of {living} products. Archive them?"
    return sys.stdin.isatty() and click.confirm(question, err=True)


def _imported(file: Path, summary: ImportSummary, options: ImportOptions) -> str:
    archived = f", {summary.archived} archived, {summary.restored} restored"
    return (
        f"{'Would import' if options.dry_run else 'Imported'} {file}: {summary.text()}"
        f"{archived if options.complete else ''}"
        f"{' (dry run: nothing was written)' if options.dry_run else ''}"
    )


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

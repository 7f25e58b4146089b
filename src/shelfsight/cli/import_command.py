"""The command `shelfsight import`."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import click

from shelfsight.catalog.imports.columns import FIELDS, ColumnUse
from shelfsight.catalog.imports.import_file import import_file as import_products
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import BadCell, BadLine
from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.wiring.database import open_database
from shelfsight.wiring.product_file import open_product_file


def _mapped(
    _context: click.Context, _option: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Read `title=Name,image=Photos`; a comma before anything but `FIELD=` belongs to a column."""
    pairs = [pair for text in given for pair in re.split(rf",\s*(?={'|'.join(FIELDS)}=)", text)]
    mapped: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        name = name.strip().lower()
        if name not in FIELDS or not equals or not column.strip():
            raise click.BadParameter(f"{pair!r} is not FIELD=COLUMN; FIELD is {', '.join(FIELDS)}")
        mapped[name] = column.strip()
    return mapped


@click.command("import", cls=Command, settings=(*DATABASE, "allow_private_images"))
@click.argument("file")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count what would change, and show the first products as they would be stored; write"
    " nothing.",
)
@click.option(
    "--map",
    "mapped",
    multiple=True,
    callback=_mapped,
    metavar="FIELD=COLUMN",
    help="Use this column for a field, as in title=Name,image=Photos.",
)
@click.option(
    "--encoding", metavar="NAME", help="The encoding of the text, such as cp1251; usually found."
)
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
def import_file(settings: Settings, file: str, *, yes: bool, as_json: bool, **options: Any) -> int:
    """Import products from a shop's export, a feed, or a file of your own.

    FILE is a path or an http(s) address. The exports of Shopify (CSV and bulk JSONL), WooCommerce,
    Magento 2, BigCommerce and Square, and the feeds for Google Merchant and Facebook (CSV, TSV,
    XML) are recognised by their columns. All other files are CSV or JSONL with a column sku, and
    may have title, description, price, image (or images, several divided by |), barcode, options,
    owner, category and product_key; `--map` names other columns for these. The command says which
    columns it used, and which it did not.

    A product is recognised by its SKU, so the same file can be imported again. A column that the
    file lacks leaves the stored values as they are, and so does an empty cell, unless
    `--clear-empty` is given. Bad lines are reported, and all other lines are imported. A cell that
    cannot be read is reported, and its product is imported without it.

    With `--complete`, products that the file lacks are archived. If the file names owners, only
    products of these owners are. More than 20% of the products are archived only after a
    confirmation or with `--yes`, and none while a line is bad.

    Exit status: 0 done; 1 not confirmed, nothing was written; 2 the file cannot be read as
    products; 3 done, but some lines were bad.
    """
    chosen = ImportOptions(**options)
    if yes and not chosen.complete:
        raise click.UsageError("--yes goes with --complete")

    def complain(bad: BadLine | BadCell) -> None:
        ending = "; imported without it" if isinstance(bad, BadCell) else ""
        click.echo(f"{file}:{bad.line}: {bad.reason}{ending}", err=True)

    def confirm(missing: int, living: int) -> bool:
        return yes or _ask(file, missing, living)

    with (
        open_product_file(settings, file, chosen) as products,
        open_database(settings) as database,
    ):
        summary = import_products(database, products, chosen, complain, confirm)
    if as_json:
        click.echo(json.dumps(_as_json(summary, products.columns, chosen)))
    else:
        click.echo("\n".join(_as_text(file, summary, products.columns, chosen)))
    if chosen.complete and summary.bad_lines:
        click.echo("Nothing was archived because of the bad lines: mend them first", err=True)
    return 3 if summary.bad_lines else 0


def _ask(file: str, missing: int, living: int) -> bool:
    """Ask on the terminal whether to archive so many products; False if there is no terminal."""
    question = f"{file} lacks {missing} of {living} products. Archive them?"
    return sys.stdin.isatty() and click.confirm(question, err=True)


def _as_json(
    summary: ImportSummary, columns: ColumnUse, options: ImportOptions
) -> dict[str, object]:
    counts = {**summary.counts(), "dry_run": options.dry_run}
    if options.dry_run:
        counts["first_products"] = [product.values() for product in summary.first_products]
    return {
        **counts,
        "format": columns.format,
        "encoding": columns.encoding,
        "columns": columns.used,
        "unused_columns": list(columns.unused),
    }


def _as_text(
    file: str, summary: ImportSummary, columns: ColumnUse, options: ImportOptions
) -> Iterator[str]:
    yield from columns.lines()
    if options.dry_run and summary.first_products:
        yield "The first products as they would be stored:"
        for product in summary.first_products:
            yield from product.lines()
            yield ""
    archived = f", {summary.archived} archived, {summary.restored} restored"
    yield (
        f"{'Would import' if options.dry_run else 'Imported'} {file}: {summary.text()}"
        f"{archived if options.complete else ''}"
        f"{' (dry run: nothing was written)' if options.dry_run else ''}"
    )

"""The commands `shelfsight init` and `shelfsight catalog`."""

import json
from dataclasses import asdict
from typing import Any

import click

from shelfsight.catalog.views.preset import shipped
from shelfsight.cli.options import DATABASE, Command
from shelfsight.records import CatalogChoice
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.catalogue import CatalogReport, statements
from shelfsight.wiring.database import connect_database, database_name


class Assignment(click.ParamType[tuple[str, str]]):
    """An option of a preset: NAME=VALUE."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Divide at the first `=`."""
        name, is_there, given = str(value).partition("=")
        if not (name and is_there):
            self.fail(f"{value!r} is not NAME=VALUE, such as currency=eur", param, ctx)
        return name, given


@click.command(cls=Command, settings=DATABASE)
@click.option(
    "--catalog",
    "catalog_name",
    metavar="NAME|FILE",
    help=f"How to read your products: {', '.join(shipped())}, or a file with your own SELECTs.",
)
@click.option(
    "--set",
    "options",
    type=Assignment(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the catalogue, such as currency=eur; repeatable.",
)
@click.option("--print", "only_print", is_flag=True, help="Show the SQL of --catalog; run none.")
@click.option(
    "--new-shop",
    is_flag=True,
    help="Create empty tables for products although the database has other tables.",
)
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
def init(settings: Settings, **given: Any) -> None:
    """Prepare the database: say how products are read, and create what is missing.

    In an empty database this creates the tables Products, ProductVariants and ProductImages. If
    there is a shop with other tables, nothing is made: you are told which platform's they are, and
    what to run. With `--catalog` the products are then read through views in the schema shelfsight.

    Besides, this creates the extension vector, the table ProductEmbeddings or its missing columns,
    and the tables of the schema shelfsight, and upgrades those of an older release. Your own tables
    are left as they are. Run it as often as you like.

    Exit status: 0 done; 1 nothing was made, the message says what to run; 2 the catalogue does not
    fit.
    """
    choice = _choice(given)
    if given["only_print"]:
        _print(settings, choice)
        return
    with Shop(settings) as shop:
        done = shop.init(
            catalog=choice,
            new_shop=given["new_shop"],
            triggers=given["triggers"],
            wait=click.echo if given["wait"] else None,
        )
    click.echo(f"Database: {database_name(settings)}")
    for what in done or ["created nothing: all is there"]:
        click.echo(f"  {what}")


def _choice(given: dict[str, Any]) -> CatalogChoice | None:
    name, options = given["catalog_name"], dict(given["options"])
    if name is None and (options or given["only_print"]):
        raise click.UsageError("--set and --print go with --catalog")
    if name is not None and given["new_shop"]:
        raise click.UsageError("--new-shop makes tables, and --catalog reads those there are")
    return None if name is None else CatalogChoice(name=name, options=options)


def _print(settings: Settings, choice: CatalogChoice | None) -> None:
    with connect_database(settings) as database:
        for statement in statements(database, choice) if choice else ():
            click.echo(f"{statement};\n")


@click.command(cls=Command, settings=DATABASE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def catalog(settings: Settings, as_json: bool) -> None:
    """Show what is read: the preset, its options, counts, and the first products."""
    with Shop(settings) as shop:
        found = shop.catalog()
    if as_json:
        sample = [one._asdict() for one in found.sample]
        click.echo(json.dumps({**asdict(found), "sample": sample}, ensure_ascii=False))
        return
    click.echo(f"Database: {database_name(settings)}")
    click.echo("\n".join(_lines(found)))


def _lines(found: CatalogReport) -> list[str]:
    options = ", ".join(f"{name}={value}" for name, value in found.options.items() if value)
    lines = [
        f"Catalogue: {found.version}" + (f" ({found.preset})" if found.preset else ""),
        *([f"Options: {options}"] if options else []),
        f"Products: {found.products}, pictures: {found.pictures}",
    ]
    for one in found.sample:
        lines += [f"  {one.id}  {one.title or '(no title)'}", f"    {one.image_url or '(none)'}"]
    return lines

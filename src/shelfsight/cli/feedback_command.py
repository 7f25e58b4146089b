"""The command `shelfsight feedback`, which lists confirmed photos and takes them back."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfsight.backfill.report import one_line
from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.storage.search.confirmed_photos import Choice, ConfirmedPhotos
from shelfsight.wiring.database import open_database

if TYPE_CHECKING:
    from shelfsight.storage.search.confirmed_photos import ConfirmedPhoto


@click.group()
def feedback() -> None:
    """List the photos that people confirmed, or take them back.

    "Right" makes the vector of a photo, never the photo, a further reference of its product.
    """


_product = click.option("--product", metavar="ID", help="Only photos of this product variant.")
_owner = click.option("--owner", metavar="ID", help="Only photos of this owner's scans (UserId).")


@feedback.command("list", cls=Command, settings=DATABASE)
@_product
@_owner
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_photos(
    settings: Settings, product: str | None, owner: str | None, limit: int, as_json: bool
) -> None:
    """Show the photos that people confirmed, the newest first."""
    with open_database(settings) as database:
        found = ConfirmedPhotos(database).find(Choice(product=product, owner=owner), limit)
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one), ensure_ascii=False, default=str))
    elif found:
        Console().print(_table(found))
    else:
        click.echo("No photo was confirmed.")


@feedback.command("remove", cls=Command, settings=DATABASE)
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@_product
@_owner
@click.option("--all", "everything", is_flag=True, help="Every photo that was confirmed.")
@click.option("--dry-run", is_flag=True, help="Say how many would be taken back, and take none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def remove(
    settings: Settings, *, everything: bool, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Take back confirmed photos; ID is as `shelfsight feedback list` shows it.

    Without an ID, all photos of --product or of --owner are taken back. Verdicts stay.
    """
    if everything == any(chosen.values()):
        raise click.UsageError("give ids, --product or --owner; or --all")
    choice = Choice(**{name: value or None for name, value in chosen.items()})
    with open_database(settings) as database:
        count = ConfirmedPhotos(database).remove(choice, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"confirmed_photos": count, "dry_run": dry_run}))
        return
    photos = f"{count} confirmed photo{'' if count == 1 else 's'}"
    done = "would be taken back (dry run: none was)" if dry_run else "taken back"
    click.echo(f"{photos} {done}.")


def _table(photos: "list[ConfirmedPhoto]") -> Table:
    shown = Table("Id", "SKU", "Title", "Owner", "Like its picture", "Confirmed", box=SIMPLE)
    for one in photos:
        cells = (
            str(one.id),
            one.sku or one.product,
            one.title,
            one.owner or "-",
            "yes" if one.resembles else "no",
            f"{one.created_at:%Y-%m-%d %H:%M}",
        )
        shown.add_row(*(Text(one_line(cell)) for cell in cells))
    return shown

"""The command `shelfsight keys`, which makes, lists and revokes API keys of the scan server."""

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfsight.backfill.report import one_line
from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.wiring.database import open_database


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of `serve`.

    A key belongs to an owner (UserId) and gives access to that owner's products only; an admin's
    key gives access to all products. Once a key has been made, every request needs a key.
    """


@keys.command(cls=Command, settings=DATABASE)
@click.option("--owner", metavar="ID", help="Whose products (UserId) the key sees.")
@click.option("--admin", is_flag=True, help="The key sees everyone's products.")
@click.option("--name", default="", help="What it is for.")
@click.option(
    "--confirms/--no-confirms",
    default=True,
    help="Whether photos that are confirmed with it count from then on; not for shoppers.",
)
def create(settings: Settings, owner: str | None, admin: bool, name: str, confirms: bool) -> None:
    """Make a key and show it, this once; only a digest of it is kept."""
    if admin == bool(owner):
        raise click.UsageError("give either --owner ID or --admin")
    with open_database(settings) as database:
        key, secret = ApiKeys(database).create(owner, name, may_confirm=confirms)
    click.echo(f"Key {key.id} of {_owner(key.owner)}; it is not shown again:", err=True)
    click.echo(secret)


@keys.command("list", cls=Command, settings=DATABASE)
def list_keys(settings: Settings) -> None:
    """Show every key: its id, whose it is, whether it confirms photos, when made and revoked."""
    with open_database(settings) as database:
        found = ApiKeys(database).all()
    shown = Table("Id", "Owner", "Name", "Confirms", "Made", "Revoked", box=SIMPLE)
    for key in found:
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        made, confirms = f"{key.created_at:%Y-%m-%d %H:%M}", "yes" if key.may_confirm else "no"
        cells = (key.id, _owner(key.owner), key.name, confirms, made, revoked)
        shown.add_row(*(Text(one_line(cell)) for cell in cells))
    if found:
        Console().print(shown)
    else:
        click.echo("There is no key.")


@keys.command(cls=Command, settings=DATABASE)
@click.argument("id_", metavar="ID")
def revoke(settings: Settings, id_: str) -> None:
    """End a key at once; ID is as `shelfsight keys list` shows it."""
    with open_database(settings) as database:
        key = ApiKeys(database).revoke(id_)
    if key is None:
        raise click.UsageError(f"there is no key {id_}; see shelfsight keys list")
    click.echo(f"Key {key.id} of {_owner(key.owner)} is revoked.")


def _owner(owner: str | None) -> str:
    return "admin" if owner is None else owner

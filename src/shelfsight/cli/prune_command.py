"""The command `shelfsight prune`, which deletes what is left over in our own tables."""

import json
from dataclasses import asdict

import click

from shelfsight.cli.options import DATABASE, Command
from shelfsight.settings import Settings
from shelfsight.storage.prune import prune as prune_tables
from shelfsight.wiring.database import open_database

_NAMES = {
    "embeddings": '"ProductEmbeddings": rows of products that are gone or archived',
    "failures": 'shelfsight."EmbeddingFailures": rows of products that are gone or archived',
    "confirmed_photos": 'shelfsight."ConfirmedPhotos": vectors of photos of products that are gone',
    "scan_means": 'shelfsight."ScanMeans": rows of owners without any product',
    "runs": '"BackfillRuns": runs that were closed more than 90 days ago',
}


@click.command(cls=Command, settings=DATABASE)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def prune(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Delete what is left over in our own tables.

    Deleted are vectors and other rows of products that no longer exist or are archived, confirmed
    photos of products that no longer exist, rows of owners without products, and runs that ended
    more than 90 days ago. The shop's tables are only
    read. If an archived product is restored, it is due again.
    """
    with open_database(settings) as database:
        found = asdict(prune_tables(database, dry_run=dry_run))
    if as_json:
        click.echo(json.dumps({**found, "dry_run": dry_run}))
        return
    lines = [f"  {count} in {_NAMES[name]}" for name, count in found.items() if count]
    if lines:
        click.echo("Would be deleted (dry run: nothing was):" if dry_run else "Deleted:")
    for line in lines or ["Nothing is left over."]:
        click.echo(line)

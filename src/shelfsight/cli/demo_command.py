"""The command `shelfsight demo`, which tries the whole system on a generated shop."""

from pathlib import Path

import click

from shelfsight.backfill.progress_output import choose
from shelfsight.cli.options import Command
from shelfsight.settings import Settings
from shelfsight.wiring.listening import Listen


@click.command(cls=Command, settings=("shelfsight_home",))
@click.option("--seed", default=7, show_default=True, help="Draws another shop, other photos.")
@click.option("--serve", is_flag=True, help="Then answer scans of this shop over HTTP.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@click.option(
    "--draw",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    help="Only draw the shop there: pictures, photos, and a products.csv to import.",
)
def demo(settings: Settings, seed: int, serve: bool, port: int, folder: Path | None) -> int:
    """Draw a shop, embed it, and find ten photos in it.

    The demo uses a separate database in an embedded Postgres, and the models of `--models lite`.
    Nothing is downloaded, and your own data is not touched.
    """
    # imported here, because the import is slow and only this command needs it
    from shelfsight.demo import run as shop

    if folder is not None:
        if serve:
            raise click.UsageError("--draw only draws: leave --serve out")
        _make(folder)
        drawn = shop.draw(seed, folder.absolute(), click.echo)
        click.echo(f"  products: {drawn.products_file}; import it with IMAGE_ROOT={drawn.folder}")
        return 0
    progress = choose(as_json=False, verbose=False)
    listen = Listen("127.0.0.1", port) if serve else None
    return shop.run(settings, shop.Demo(seed=seed, listen=listen), progress, click.echo)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--draw {folder} cannot be made: {error.strerror}") from None

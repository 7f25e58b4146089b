"""The command `shelfsight demo`, which tries the whole system on a generated shop."""

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
def demo(settings: Settings, seed: int, serve: bool, port: int) -> int:
    """Draw a shop, embed it, and find ten photos in it.

    The demo uses a separate database in an embedded Postgres, and the models of `--models lite`.
    Nothing is downloaded, and your own data is not touched.
    """
    # imported here, because the import is slow and only this command needs it
    from shelfsight.demo import run as shop

    progress = choose(as_json=False, verbose=False)
    listen = Listen("127.0.0.1", port) if serve else None
    return shop.run(settings, shop.Demo(seed=seed, listen=listen), progress, click.echo)

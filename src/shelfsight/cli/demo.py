"""`shelfsight demo`."""

import click

from shelfsight.cli.options import Command
from shelfsight.progress import choose
from shelfsight.settings import Settings


@click.command(cls=Command, settings=("shelfsight_home",))
@click.option("--seed", default=7, show_default=True, help="Draws another shop, other photos.")
def demo(settings: Settings, seed: int) -> int:
    """Draw a shop, embed it, and find ten photographed products in it.

    All of it happens in an embedded Postgres, in a database of its own, with the models of
    `--models lite`; nothing is downloaded, and your own data is not touched.
    """
    from shelfsight import demo as shop  # drawing is slow to import, and no other command draws

    progress = choose(as_json=False, verbose=False)
    return shop.run(settings, seed=seed, progress=progress, out=click.echo)

"""The command `shelfsight calibrate`, which fits probabilities to the shop's own pictures."""

import json

import click

from shelfsight.cli.options import DATABASE, FETCHING, MODELS, Command
from shelfsight.settings import Settings
from shelfsight.shop import Shop


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *FETCHING, "scan_views"))
@click.option("--forget", is_flag=True, help="Delete the calibration of these models instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the constants.")
def calibrate(settings: Settings, forget: bool, as_json: bool) -> int:
    """Learn how probable a match is, from photos made of the shop's own pictures.

    About 200 pictures are fetched again, and photos are made of them: cut, turned, lit, blurred and
    laid on a background. How well the models find their products is stored for this pair of models,
    and used by every scan within a minute. The first whole backfill does this by itself, unless a
    calibration comes with the models, whose place this takes. Only lite comes with one; that was
    fitted on labelled photos and is truer on such.

    Exit status: 0 done; 1 there are too few pictures.
    """
    with Shop(settings, notify=_to_stderr) as shop:
        if forget:
            shop.forget_calibration()
            click.echo("{}" if as_json else "Forgotten.")
            return 0
        calibration = shop.calibrate()
    if calibration is None:
        click.echo("Too few pictures to calibrate with: 50 are needed.", err=True)
        return 1
    stored = json.dumps(calibration.as_json())
    click.echo(stored if as_json else f"Calibrated with {calibration.source}.")
    return 0


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)

"""The command `shelfsight evaluate`, which measures scans on photos whose product is known."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from shelfsight.cli.options import DATABASE, MODELS, PHOTO, WEIGHTS, Command
from shelfsight.scan.evaluation import lines
from shelfsight.settings import Settings
from shelfsight.shop import Shop
from shelfsight.wiring.evaluating import Evaluation


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *WEIGHTS, *PHOTO))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the figures.")
def evaluate(settings: Settings, folder: Path, as_json: bool) -> int:
    """Measure how often photos find their product, and whether probabilities are true.

    FOLDER has the photos, and photos.csv with the columns photo (a path within the folder), sku
    (what it shows) and, if you like, text (words to scan with it). Each photo is scanned twice: as
    users scan it, and with its product left out, where only "not in the catalogue" is right. Scans
    learn nothing from these photos.

    Exit status: 0 done; 1 no photo could be read; 2 the folder has no such photos.csv.
    """
    with Shop(settings, notify=_to_stderr) as shop:
        found = shop.evaluate(folder)
    if as_json:
        shown = {
            "figures": found.figures and found.figures.as_json(),
            "worst": [asdict(one) for one in found.worst],
            "left_out": found.left_out,
        }
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(str(folder), found)))
    return 0 if found.figures else 1


def _lines(name: str, found: Evaluation) -> list[str]:
    shown = [f"left out: {line}" for line in found.left_out]
    if found.figures is None:
        return [*shown, "No photo could be read."]
    shown += lines(name, found.figures)
    if found.worst:
        shown.append("  The surest mistakes:")
    for one in found.worst:
        place = "not among the nearest" if one.rank is None else f"at place {one.rank}"
        what = f"found {one.found}, {one.probability:.0%}; right is {one.right}, {place}"
        shown.append(f"  {one.photo}: {what}")
    return shown


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)

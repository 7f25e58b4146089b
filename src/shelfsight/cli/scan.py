"""`shelfsight scan`."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfsight import wiring
from shelfsight.cli.options import DATABASE, MODELS, WEIGHTS, Command
from shelfsight.records import Match
from shelfsight.report import one_line
from shelfsight.settings import Settings


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *WEIGHTS))
@click.argument("photo", required=False, type=click.Path(path_type=Path))
@click.option("--text", help="Words that describe the thing, with a photo or alone.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 200))
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the matches.")
def scan(
    settings: Settings, photo: Path | None, text: str | None, limit: int, as_json: bool
) -> int:
    """Find the products that PHOTO shows, best match first.

    Exit status: 0 something was found; 1 nothing is embedded yet; 2 the photo is not a picture.
    """
    text = (text or "").strip() or None
    if photo is None and text is None:
        raise click.UsageError("give a photo, --text, or both")
    say = _silent if as_json else _to_stderr
    with (
        wiring.open_database(settings) as database,
        wiring.open_embedder(settings, say) as embedder,
    ):
        views = [] if photo is None else wiring.read_photo(photo, embedder)
        matches = wiring.scanner(settings, database, embedder).scan(views, text, limit)
    if as_json:
        click.echo(
            json.dumps({"matches": [asdict(match) for match in matches]}, ensure_ascii=False)
        )
    elif matches:
        Console().print(table(matches))
    else:
        click.echo("No match: no product has such a vector yet. Run: shelfsight backfill", err=True)
    return 0 if matches else 1


def table(matches: list[Match]) -> Table:
    """Matches as people read them."""
    shown = Table(box=SIMPLE)
    shown.add_column("#", justify="right")
    shown.add_column("SKU", no_wrap=True)
    shown.add_column("Title")
    for name in ("Score", "Image", "Text"):
        shown.add_column(name, justify="right")
    for number, match in enumerate(matches, start=1):
        scores = (match.score, match.image_score, match.text_score)
        cells = ("-" if score is None else f"{score:.3f}" for score in scores)
        sku, title = (Text(one_line(text)) for text in (match.sku or match.id, match.title))
        shown.add_row(str(number), sku, title, *cells)
    return shown


def _silent(_message: str) -> None:
    pass


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)

"""The command `shelfsight scan`, which finds products by photos or words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shelfsight.backfill.report import one_line
from shelfsight.cli.options import DATABASE, MODELS, PHOTO, WEIGHTS, Command
from shelfsight.records import PhotoNote
from shelfsight.scan.matching import Because, Filters, Match, ScanResult, WhyNothing
from shelfsight.settings import Settings
from shelfsight.shop import Shop

_HINTS = {
    WhyNothing.NOT_EMBEDDED: (
        "Nothing to find: {which} has vectors yet. Run: shelfsight backfill --all"
    ),
    WhyNothing.NO_IMAGES: (
        "Nothing to find: {which} has an image vector, so no photo can match. See which images"
        " failed: shelfsight failures. Products with a text are found by words: --text"
    ),
    WhyNothing.NO_TEXTS: (
        "Nothing to find: {which} has a text vector, so no words can match. See which texts failed:"
        " shelfsight failures. Products with an image are found by a photo"
    ),
    WhyNothing.UNLIKE: (
        "No match: no product is like it. See the nearest ones with: --threshold -1"
    ),
}

_REASONS: Mapping[Because, str] = {
    "code": "code",
    "picture": "picture",
    "color": "colour",
    "confirmed_photo": "confirmed photo",
    "words": "words",
}
_NOTES: Mapping[PhotoNote, str] = {
    "truncated": "A photo is truncated, and was read without its last bytes.",
}


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *WEIGHTS, *PHOTO))
@click.argument("photos", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", help="Words that describe the thing, or its SKU or barcode.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 200))
@click.option("--threshold", type=float, help="The least score; without it the models' own.")
@click.option("--owner", metavar="ID", help="Only products of this owner (UserId).")
@click.option("--category", help="Only products of this category.")
@click.option(
    "--group-by",
    default="variant",
    show_default=True,
    type=click.Choice(["variant", "product"]),
    help="Show each variant, or the best one of each product.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the matches.")
def scan(settings: Settings, photos: Sequence[Path], as_json: bool, **arguments: Any) -> int:
    """Find the products that photos or words show.

    The best match comes first. Several photos must show the same thing.

    Exit status: 0 something was found; 1 nothing was found, and a line says why; 2 the file is not
    a picture.
    """
    text = (arguments.pop("text") or "").strip() or None
    if not photos and text is None:
        raise click.UsageError("give a photo, --text, or both")
    filters = Filters(owner=arguments.pop("owner"), category=arguments.pop("category"))
    with Shop(settings, notify=_silent if as_json else _to_stderr) as shop:
        found = shop.scan(photos, text=text, filters=filters, **arguments)
        hint = "" if found.matches else _hint(shop, filters, photo=bool(photos), text=bool(text))
    _show(found, hint, as_json=as_json)
    return 0 if found.matches else 1


def _hint(shop: Shop, filters: Filters, *, photo: bool, text: bool) -> str:
    """Say why nothing was found, and what to do about it."""
    given = [
        f"--{name} {value}"
        for name, value in (("owner", filters.owner), ("category", filters.category))
        if value is not None
    ]
    why = shop.why_nothing(filters, photo=photo, text=text)
    if why is WhyNothing.NO_PRODUCTS:
        if given:
            return f"Nothing to find: no product has {' and '.join(given)}; leave that out"
        return (
            "Nothing to find: there are no products. Check DATABASE_URL, or read in a file with:"
            " shelfsight import FILE"
        )
    which = f"no product of {' and '.join(given)}" if given else "no product"
    return _HINTS[why].format(which=which)


def _show(found: ScanResult, hint: str, *, as_json: bool) -> None:
    if as_json:
        matches = [_flat(match) for match in found.matches]
        shown = {**asdict(replace(found, vectors=())), "matches": matches, "hint": hint or None}
        del shown["vectors"]
        click.echo(json.dumps(shown, ensure_ascii=False, default=str))
        return
    for note in found.notes:
        click.echo(_NOTES[note], err=True)
    if found.matches:
        Console().print(table(found.matches))
    else:
        click.echo(hint, err=True)


def _flat(match: Match) -> dict[str, object]:
    return {
        **match.product._asdict(),
        "score": match.score,
        "confidence": match.confidence,
        "probability": match.probability,
        "because": list(match.because),
    }


def table(matches: Sequence[Match]) -> Table:
    """Return a table of the matches."""
    shown = Table(box=SIMPLE)
    shown.add_column("#", justify="right")
    shown.add_column("SKU", no_wrap=True)
    shown.add_column("Title")
    for name in ("Score", "Image", "Text"):
        shown.add_column(name, justify="right")
    shown.add_column("Sure")
    shown.add_column("Why")
    for number, match in enumerate(matches, start=1):
        product = match.product
        scores = (match.score, product.image_score, product.text_score)
        cells = ("-" if score is None else f"{score:.3f}" for score in scores)
        because = ", ".join(_REASONS[reason] for reason in match.because)
        sku, title = (Text(one_line(text)) for text in (product.sku or product.id, product.title))
        shown.add_row(str(number), sku, title, *cells, _sure(match), because)
    return shown


def _sure(match: Match) -> str:
    if match.probability is None or match.product.is_code:
        return match.confidence
    return f"{match.confidence}, {match.probability:.0%}"


def _silent(_message: str) -> None:
    pass


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)

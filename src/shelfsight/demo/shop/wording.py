"""Write product titles and descriptions in the different styles of real shops."""

import html
from collections.abc import Callable
from typing import NamedTuple

from shelfsight.demo.shop.design import Design
from shelfsight.demo.shop.product_kinds import PATTERN_NAMES, PRODUCT_KINDS

LONG_TEXT = 50_000
"""The number of characters of the very long description."""


class Wording(NamedTuple):
    """A title and a description."""

    title: str
    description: str


def _name(design: Design) -> str:
    return f"{PATTERN_NAMES[design.pattern]} {PRODUCT_KINDS[design.kind].english}"


def one_line(design: Design) -> Wording:
    """Write a one-line description, as in a small shop."""
    return Wording(f"{_name(design)} - {design.palette}", f"{PRODUCT_KINDS[design.kind].facts}.")


def title_only(design: Design) -> Wording:
    """Write a title without a description."""
    return Wording(f"{_name(design)}, {design.palette}", "")


def marketing(design: Design) -> Wording:
    """Write several sentences of advertising."""
    kind, print_ = PRODUCT_KINDS[design.kind].english.lower(), PATTERN_NAMES[design.pattern].lower()
    return Wording(
        f"{_name(design)} in {design.palette}",
        f"Say hello to the {kind} you did not know you were missing. Our {print_} print was drawn "
        f"by hand in a small studio and is made to order in {design.palette.lower()} tones, so "
        f"nothing is ever wasted. {PRODUCT_KINDS[design.kind].facts}. It makes a fine present for"
        " birthdays, for Christmas, or simply for yourself. Not happy? Send it back within 30 days,"
        " no questions asked.",
    )


def html_markup(design: Design) -> Wording:
    """Write HTML with entities, as shop systems store it."""
    name = html.escape(_name(design))
    items = "".join(
        f"<li>{html.escape(part)}</li>" for part in PRODUCT_KINDS[design.kind].facts.split(", ")
    )
    return Wording(
        f"{name} &ndash; {design.palette}",
        f'<div class="description"><p>The <strong>{name}</strong> in <em>{design.palette}</em>:'
        f"&nbsp;made&nbsp;to&nbsp;order.</p>\n<ul>{items}</ul>"
        "<p>Free shipping from &euro;50 &mdash; &#128230;</p></div>",
    )


def multilingual(design: Design) -> Wording:
    """Write several languages, accents and emoji."""
    kind, print_ = PRODUCT_KINDS[design.kind], PATTERN_NAMES[design.pattern]
    return Wording(
        f"{_name(design)} / {kind.german} »{print_}« ✨ {design.palette}",
        f"🇬🇧 {kind.english} with our {print_} design. 🇩🇪 {kind.german} mit dem Motiv »{print_}«, "
        f"für Groß und Klein, auf Bestellung gedruckt. 🇫🇷 {kind.french} à motif « {print_} », "
        "imprimé à la demande – idée cadeau 🎁. 日本語: オリジナルプリント。",
    )


def capitals(design: Design) -> Wording:
    """Write everything in capital letters."""
    return Wording(
        f"{_name(design)} {design.palette} - NEW!!!".upper(),
        f"BEST PRICE!!! {PRODUCT_KINDS[design.kind].facts}."
        " ONLY WHILE STOCKS LAST. ORDER NOW!".upper(),
    )


def bullets(design: Design) -> Wording:
    """Write a bulleted list of facts."""
    facts = (
        *PRODUCT_KINDS[design.kind].facts.split(", "),
        f"Colour: {design.palette}",
        "Made to order",
    )
    return Wording(f"{_name(design)} | {design.palette}", "\n".join(f"• {fact}" for fact in facts))


def very_long_description(title: str) -> str:
    """Return a description of 50,000 characters, far more than any model reads."""
    text = f"{title}: every word of this was asked for by the search engines of another age."
    numbered = "\n\n".join(f"{i}. {text}" for i in range(1, LONG_TEXT // len(text) + 1))
    return numbered[:LONG_TEXT]


WRITING_STYLES: tuple[Callable[[Design], Wording], ...] = (
    one_line,
    marketing,
    html_markup,
    multilingual,
    capitals,
    bullets,
    title_only,
)
"""The writing styles; each product gets a random one of these."""

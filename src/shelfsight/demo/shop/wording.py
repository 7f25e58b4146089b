"""Titles and descriptions in the styles shops write them."""

import html
from collections.abc import Callable
from typing import NamedTuple

from shelfsight.demo.shop.design import Design
from shelfsight.demo.shop.nouns import KINDS, PATTERNS

LONG_TEXT = 50_000
"""How many characters the one absurdly long description has."""


class Wording(NamedTuple):
    """A title and a description."""

    title: str
    description: str


def _name(design: Design) -> str:
    return f"{PATTERNS[design.pattern]} {KINDS[design.kind].english}"


def short(design: Design) -> Wording:
    """As in a small shop: one line."""
    return Wording(f"{_name(design)} - {design.palette}", f"{KINDS[design.kind].fact}.")


def bare(design: Design) -> Wording:
    """A title alone."""
    return Wording(f"{_name(design)}, {design.palette}", "")


def marketing(design: Design) -> Wording:
    """Several sentences that praise."""
    kind, print_ = KINDS[design.kind].english.lower(), PATTERNS[design.pattern].lower()
    return Wording(
        f"{_name(design)} in {design.palette}",
        f"Say hello to the {kind} you did not know you were missing. Our {print_} print was drawn "
        f"by hand in a small studio and is made to order in {design.palette.lower()} tones, so "
        f"nothing is ever wasted. {KINDS[design.kind].fact}. It makes a fine present for birthdays,"
        " for Christmas, or simply for yourself. Not happy? Send it back within 30 days, no"
        " questions asked.",
    )


def markup(design: Design) -> Wording:
    """HTML, with entities, as shop systems keep it."""
    name = html.escape(_name(design))
    items = "".join(f"<li>{html.escape(part)}</li>" for part in KINDS[design.kind].fact.split(", "))
    return Wording(
        f"{name} &ndash; {design.palette}",
        f'<div class="description"><p>The <strong>{name}</strong> in <em>{design.palette}</em>:'
        f"&nbsp;made&nbsp;to&nbsp;order.</p>\n<ul>{items}</ul>"
        "<p>Free shipping from &euro;50 &mdash; &#128230;</p></div>",
    )


def bilingual(design: Design) -> Wording:
    """Three languages, accents and emoji."""
    kind, print_ = KINDS[design.kind], PATTERNS[design.pattern]
    return Wording(
        f"{_name(design)} / {kind.german} »{print_}« ✨ {design.palette}",
        f"🇬🇧 {kind.english} with our {print_} design. 🇩🇪 {kind.german} mit dem Motiv »{print_}«, "
        f"für Groß und Klein, auf Bestellung gedruckt. 🇫🇷 {kind.french} à motif « {print_} », "
        "imprimé à la demande – idée cadeau 🎁. 日本語: オリジナルプリント。",
    )


def capitals(design: Design) -> Wording:
    """All in capitals."""
    return Wording(
        f"{_name(design)} {design.palette} - NEW!!!".upper(),
        f"BEST PRICE!!! {KINDS[design.kind].fact}. ONLY WHILE STOCKS LAST. ORDER NOW!".upper(),
    )


def bullets(design: Design) -> Wording:
    """A list of facts."""
    facts = (*KINDS[design.kind].fact.split(", "), f"Colour: {design.palette}", "Made to order")
    return Wording(f"{_name(design)} | {design.palette}", "\n".join(f"• {fact}" for fact in facts))


def endless(title: str) -> str:
    """A description of 50,000 characters, far more than any model reads."""
    text = f"{title}: every word of this was asked for by the search engines of another age."
    numbered = "\n\n".join(f"{i}. {text}" for i in range(1, LONG_TEXT // len(text) + 1))
    return numbered[:LONG_TEXT]


STYLES: tuple[Callable[[Design], Wording], ...] = (
    short,
    marketing,
    markup,
    bilingual,
    capitals,
    bullets,
    bare,
)

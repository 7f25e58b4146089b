"""Turns the texts of a product into one clean line for a text model."""

import re
import unicodedata
from collections.abc import Sequence
from html import unescape
from html.entities import html5

from shelfsight.embedding.rich_text import options_text, readable_text
from shelfsight.records import Product

MAX_CHARACTERS = 131_072
"""The most characters of the result: four for each of the 32,768 tokens that a model may take."""

MAX_SOURCE_CHARACTERS = 1_000_000
"""How many characters of a title or description are read. That is enough even if pictures are
embedded in the HTML."""

_PASSES = 4
"""How many levels of escaped HTML are removed. HTML that is nested deeper loses its < and &."""

# Matches single tags and does not parse a tree. So the time is linear for any input, and "5 < 6"
# or "I <3 mugs" stay text. No alternative reads past the next "<", unless it matches to the end.
_TAG = re.compile(
    r"""
      <!--.*?(?:-->|\Z)
    | <(?P<dropped>script|style|template|noscript|svg)(?:[\s/][^<>]*+)?>.*?(?:</(?P=dropped)\s*>|\Z)
    | </?(?P<name>[a-z][\w:.-]*+)(?:[\s/](?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)?>
    | </?(?P<odd_name>[a-z][\w:.-]*+)(?:[\s/][^<>]*+)?>
    | <[a-z][\w:.-]*+\s+[\w:.-]++=[^<>]*+\Z
    | <!\[CDATA\[ | \]\]>
    | <(?:![a-z\[]|\?[a-z])[^<>]*+>
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL | re.ASCII,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_MAYBE_MARKUP = re.compile(r"<[a-zA-Z/!?]|&[#a-zA-Z]")
_INLINE = re.compile(
    r"a|abbr|b|bd[io]|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|"
    r"strong|su[bp]|tt|u|var|wbr",
    re.IGNORECASE,
)
# Combining marks, emoji, dashes and stars. More than 64 of them in a row add no meaning.
_SYMBOLS = re.compile(r"([^\w\s\x00-\x7f]{64})[^\w\s\x00-\x7f]+")
_NO_WORD = re.compile(r"\W+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# The soft hyphen, zero-width characters, bidi marks and overrides, and the byte order mark. The
# joiners U+200C and U+200D stay, because they have a meaning in Persian, Indic scripts and emoji.
_INVISIBLE = re.compile(
    r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+"
)


def text_of(product: Product) -> str:
    """Return the text to embed of a product, made of what its catalogue gives; see `join_texts`."""
    language = product.language
    facts = (
        readable_text(product.category, language, markdown=False),
        options_text(product.options, language),
        readable_text(product.brand, language, markdown=False),
    )
    title = readable_text(product.title, language, markdown=False)
    return product_text(title, readable_text(product.description, language), facts)


def product_text(title: str, description: str, facts: Sequence[str] = ()) -> str:
    """Build the text to embed: "title. description. fact" on one line, or "" if all are empty.

    The text is in NFC, with single spaces, without HTML, control characters or invisible
    characters, and has at most `MAX_CHARACTERS`. If the description starts with the title, the
    title is not repeated, and neither is a fact that the text has. The function never raises an
    error. Applied to its own result, it changes nothing.
    """
    text = _join(_clean(title), _clean(description))
    for fact in map(_clean, facts):
        if _words(fact) not in _words(text):
            text = _join(text, fact)
    joined = text[:MAX_CHARACTERS].rstrip()
    # Joining or cutting may create text that looks like a tag.
    return _clean(joined) if _MAYBE_MARKUP.search(joined) else joined


def _words(text: str) -> str:
    """Return the words of a text, in lower case, each between two blanks."""
    return f" {_NO_WORD.sub(' ', text.casefold()).strip()} "


def _join(title: str, description: str) -> str:
    if not title or not description:
        return title or description
    start, following = description[: len(title)], description[len(title) :][:1]
    if start.casefold() == title.casefold() and not following.isalnum():
        return description
    between = " " if title[-1] in ".!?:;…。!?" else ". "
    return f"{title}{between}{description}"


def _clean(text: str) -> str:
    text = _fold(text[:MAX_SOURCE_CHARACTERS])
    for _ in range(_PASSES):
        if not _MAYBE_MARKUP.search(text):
            return text
        plain = _fold(_without_markup(text))
        if plain == text:
            return text
        text = plain
    return _fold(text.replace("<", " ").replace("&", " ")) if _MAYBE_MARKUP.search(text) else text


def _without_markup(text: str) -> str:
    return _ENTITY.sub(_character, _TAG.sub(_in_place_of_tag, text))


def _in_place_of_tag(tag: re.Match[str]) -> str:
    """Return "" for an inline tag such as <b>, which may stand within a word, else a space."""
    name = tag["name"] or tag["odd_name"] or ""
    return "" if _INLINE.fullmatch(name) else " "


def _character(entity: re.Match[str]) -> str:
    written = entity[0]
    return unescape(written) if written[1] == "#" else html5.get(written[1:], written)


def _fold(text: str) -> str:
    """Normalise to NFC and single spaces; drop control, invisible and broken characters."""
    if not text.isprintable():
        # A surrogate pair becomes its character. A lone surrogate becomes the replacement
        # character.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _CONTROL.sub(" ", _INVISIBLE.sub("", text))
    if not text.isascii():
        # Runs are cut before NFC, because NFC takes quadratic time in a run of marks. They are cut
        # after NFC again, because NFC may add marks.
        text = _SYMBOLS.sub(r"\1", text)
        text = _SYMBOLS.sub(r"\1", unicodedata.normalize("NFC", text))
    return " ".join(text.split())

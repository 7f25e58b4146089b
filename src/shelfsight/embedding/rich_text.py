"""Turns the formats in which shops keep their texts into HTML or plain text.

JSON is the document of an editor (EditorJS, ProseMirror, TipTap, Slate, Lexical, Quill, Draft.js
and others), or a text in several languages. Markdown is CommonMark with tables.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

from markdown_it import MarkdownIt
from pydantic_core import from_json

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_MARKDOWN_CHARACTERS = 20_000
"""How many characters of a Markdown text are read: some 5,000 tokens."""

MAYBE_CUT = 20_000
"""JSON that ends too early is read as far as it goes if it has at least so many characters."""

_FORMATTING = frozenset(
    {"attributes", "attrs", "entitymap", "entityranges", "inlinestyleranges"}
    | {"mark", "markdefs", "marks"}
)
"""Keys, in lower case, under which there are no words."""

_NO_WORDS = frozenset(
    {"_id", "_key", "_ref", "_type", "hash", "id", "key", "nodetype", "type", "uuid", "version"}
    | {"align", "alignment", "class", "classname", "color", "direction", "format", "mode"}
    | {"rel", "style", "tag", "target", "textalign", "time"}
    | {"embed", "extension", "href", "link", "mime", "mimetype", "service", "source", "src", "uri"}
    | {"lang", "language", "locale", "url"}
)
"""Keys, in lower case, under which a string is no text for a reader."""

_INLINE_LISTS = frozenset(["children", "content", "leaves", "nodes", "ops"])
_INLINE_TEXT = ("text", "value", "insert")

_ADDRESS = re.compile(r"\s*(?:(?:https?:)?//\S+|data:\S+|#[0-9a-f]{3,8})\s*", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)

_MARKDOWN = re.compile(
    r"""
      ^\ {0,3}\#{1,6}\ +\S
    | ^\ {0,3}(?:```|~~~)
    | (?<![*\w])\*\*(?=[^\s*])[^*\n]*+\*\*
    | (?<![_\w])__(?=[^\s_])[^_\n]*+__
    | \[[^\[\]\n]*+\]\([^()\s]++[^()\n]*+\)
    | ^\ {0,3}[-*+]\ +\S[^\n]*+\n\ {0,3}[-*+]\ +\S
    | ^\ {0,3}\|?\ *:?-{3,}+:?\ *\|
    """,
    re.VERBOSE | re.MULTILINE,
)
_CLOSING_TAG = re.compile(r"</[a-z]", re.IGNORECASE)


def readable_text(text: str, language: str, *, markdown: bool = True) -> str:
    """Return the text of a JSON document or of Markdown, as plain text or HTML.

    Any other text is returned as it is. Of a JSON object whose keys are languages, the text in
    `language` is taken, or one in a variant of it, or else the first that is there. Of JSON in no
    known form, all its strings are taken, without addresses. With `markdown` False, a text is taken
    literally unless it is JSON, as a title is.
    """
    document = _parsed(text)
    if document is not None:
        chosen = _in_language(document, language)
        if isinstance(chosen, str):
            return readable_text(chosen, language, markdown=markdown)
        return _text(chosen)
    if markdown and _MARKDOWN.search(text) and not _CLOSING_TAG.search(text):
        html: str = _renderer().render(text[:MAX_MARKDOWN_CHARACTERS])
        return html
    return text


def options_text(options: str, language: str) -> str:
    """Return the options of a product, given as JSON, as words: `Colour: blue, Size: M`."""
    document = _parsed(options)
    if not isinstance(document, dict):
        return readable_text(options, language, markdown=False)
    values = {name: _in_language(value, language) for name, value in document.items()}
    words = {
        name: str(value) if isinstance(value, int | float) else _text(value).replace("\n", ", ")
        for name, value in values.items()
    }
    return ", ".join(f"{name}: {word}" for name, word in words.items() if word.strip())


@cache
def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _parsed(text: str) -> Json:
    """Return the object, list or string that a text is in JSON; None if it is no JSON."""
    bare = text.strip()
    if bare[:1] not in ("{", "[", '"'):
        return None
    try:
        is_cut = len(bare) >= MAYBE_CUT and bare[0] != '"'
        document: Json = from_json(bare, allow_partial="trailing-strings" if is_cut else "off")
    except ValueError:
        return None
    return document


def _in_language(document: Json, language: str) -> Json:
    """Return the value in a language, if the keys of an object are languages; else the document."""
    if not isinstance(document, dict) or not all(map(_LANGUAGE.fullmatch, document)):
        return document
    wanted = language.lower().replace("_", "-")
    by_tag = {name.lower().replace("_", "-"): value for name, value in document.items()}
    main = wanted.partition("-")[0]
    order = [wanted, main, *(tag for tag in by_tag if tag.startswith(f"{main}-"))]
    if not any(tag in by_tag for tag in order):
        return document
    values = (by_tag[tag] for tag in dict.fromkeys([*order, *by_tag]) if tag in by_tag)
    return next((value for value in values if _text(value).strip()), None)


def _text(node: Json, key: str = "") -> str:
    """Return the words of a JSON value that stands under `key`, with line breaks between blocks."""
    if isinstance(node, str):
        return "" if key in _NO_WORDS or _ADDRESS.fullmatch(node) else node
    if isinstance(node, dict):
        return _lines(
            _text(value, name.lower())
            for name, value in node.items()
            if name.lower() not in _FORMATTING
        )
    if isinstance(node, list):
        return _list_text(node, key)
    return ""


def _list_text(nodes: list[Json], key: str) -> str:
    """Return the words of a list; runs of text in one paragraph are joined without a break."""
    text, is_after_inline = "", False
    for node in nodes:
        is_number = isinstance(node, int | float) and not isinstance(node, bool)
        words = str(node) if is_number else _text(node, key)
        is_inline = key in _INLINE_LISTS and isinstance(node, dict) and _is_inline(node)
        text += words if (is_inline and is_after_inline) or not text or not words else f"\n{words}"
        is_after_inline = is_inline
    return text


def _is_inline(node: Mapping[str, Json]) -> bool:
    """Return whether a node is a run of text, as a bold word, and no block."""
    has_blocks = any(
        isinstance(value, list | dict) and value
        for name, value in node.items()
        if name.lower() not in _FORMATTING
    )
    return not has_blocks and any(isinstance(node.get(name), str) for name in _INLINE_TEXT)


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)

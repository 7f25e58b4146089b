"""Texts as shops keep them become the words that a reader sees."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.embedding.rich_text import MAYBE_CUT, options_text, readable_text
from shelfsight.embedding.text import text_of
from shelfsight.records import Product

EDITORJS = {
    "time": 1712,
    "version": "2.29.1",
    "blocks": [
        {"id": "oUq2g_tl8y", "type": "header", "data": {"text": "Red mug", "level": 2}},
        {"id": "zbGZFPM-iI", "type": "paragraph", "data": {"text": "Holds <b>300</b>&nbsp;ml."}},
        {"type": "list", "data": {"style": "unordered", "items": ["Stoneware", "Handmade"]}},
        {"type": "checklist", "data": {"items": [{"text": "Oven", "checked": True}]}},
        {"type": "image", "data": {"file": {"url": "https://a.test/a.jpg"}, "caption": "In use"}},
        {"type": "table", "data": {"withHeadings": True, "content": [["Height", "9 cm"]]}},
        {"type": "delimiter", "data": {}},
    ],
}
PROSEMIRROR = {
    "type": "doc",
    "content": [
        {
            "type": "heading",
            "attrs": {"level": 2},
            "content": [{"type": "text", "text": "Red mug"}],
        },
        {
            "type": "paragraph",
            "attrs": {"textAlign": "left"},
            "content": [
                {"type": "text", "text": "Un"},
                {
                    "type": "text",
                    "marks": [{"type": "link", "attrs": {"href": "https://a.test"}}],
                    "text": "believ",
                },
                {"type": "text", "text": "able."},
                {"type": "hardBreak"},
                {"type": "text", "text": "Holds 300 ml."},
            ],
        },
        {"type": "image", "attrs": {"src": "https://a.test/a.jpg", "alt": None}},
    ],
}
SLATE = [{"type": "paragraph", "children": [{"text": "Red "}, {"text": "mug", "bold": True}]}]
LEXICAL = {
    "root": {
        "children": [
            {
                "children": [
                    {"text": "Red mug", "format": 1, "mode": "normal", "style": "", "type": "text"}
                ],
                "direction": "ltr",
                "type": "paragraph",
                "version": 1,
            }
        ],
        "type": "root",
    }
}
QUILL = {
    "ops": [
        {"insert": "Red "},
        {"insert": "mug", "attributes": {"color": "#e60000"}},
        {"insert": "\n", "attributes": {"header": 1}},
    ]
}
SHOPIFY = {
    "type": "root",
    "children": [{"type": "paragraph", "children": [{"type": "text", "value": "Red mug"}]}],
}
PORTABLE = [
    {
        "_type": "block",
        "_key": "a1",
        "style": "normal",
        "markDefs": [{"_key": "m", "_type": "link", "href": "https://a.test"}],
        "children": [{"_type": "span", "_key": "s", "marks": ["m"], "text": "Red mug"}],
    }
]
DRAFT = {
    "blocks": [
        {"key": "9adb5", "text": "Red mug", "type": "unstyled", "entityRanges": [{"key": 0}]}
    ],
    "entityMap": {"0": {"type": "LINK", "data": {"url": "https://a.test"}}},
}


def described(description: object, *, title: str = "", language: str = "en") -> str:
    text = description if isinstance(description, str) else json.dumps(description)
    return text_of(Product(id="1", title=title, description=text, language=language))


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            EDITORJS,
            "Red mug Holds 300 ml. Stoneware Handmade Oven In use Height 9 cm",
        ),
        (PROSEMIRROR, "Red mug Unbelievable. Holds 300 ml."),
        (SLATE, "Red mug"),
        (LEXICAL, "Red mug"),
        (QUILL, "Red mug"),
        (SHOPIFY, "Red mug"),
        (PORTABLE, "Red mug"),
        (DRAFT, "Red mug"),
        ("null and void", "null and void"),
        ('"Red \\u00e9tag\\u00e8re"', "Red étagère"),
        ({"en": EDITORJS, "de": SLATE}, described(EDITORJS)),
        ({"material": "Stoneware", "care": ["Wipe", 30], "sku": 7}, "Stoneware Wipe 30"),
        ({}, ""),
        ({"blocks": []}, ""),
        ("[2024] Red mug", "[2024] Red mug"),
        ("{size} mug", "{size} mug"),
        ('"Red" mug', '"Red" mug'),
        ("[2024]", "2024"),
    ],
)
def test_json_becomes_the_words_that_a_reader_sees(document: object, text: str) -> None:
    assert described(document) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Becher"),
        ("de-AT", "Häferl"),
        ("de-CH", "Becher"),
        ("DE_at", "Häferl"),
        ("fr", "Tasse"),
        ("pt", "Caneca"),
        ("en", "Mug"),
    ],
)
def test_a_text_in_several_languages_is_taken_in_one(language: str, text: str) -> None:
    title = {"en_US": "Mug", "de": "Becher", "de_AT": "Häferl", "fr_FR": "Tasse", "pt_BR": "Caneca"}
    assert described("", title=json.dumps(title), language=language) == text


def test_an_empty_translation_gives_way_to_another() -> None:
    assert described("", title='{"en": " ", "de": "Becher"}') == "Becher"
    assert described("", title='{"en": null, "de": "", "fr": "Tasse"}') == "Tasse"
    assert described("", title='{"de": "Becher", "fr": "Tasse"}') == "Becher Tasse"


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Red mug\n\nHolds **300** ml.", "Red mug Holds 300 ml."),
        ("- Stoneware\n- Handmade\n", "Stoneware Handmade"),
        (
            "See [the shop](https://a.test/mugs?a=1) and ![alt](https://a.test/a.jpg)",
            "See the shop and",
        ),
        ("| Height | Width |\n|---|---|\n| 9 cm | 8 cm |", "Height Width 9 cm 8 cm"),
        ("**5 < 6** & more", "5 < 6 & more"),
        ("__Red__ mug_with_handle", "Red mug_with_handle"),
        ("```\ncode\n```", "code"),
    ],
)
def test_markdown_becomes_the_words_that_a_reader_sees(markdown: str, text: str) -> None:
    assert described(markdown) == text


@pytest.mark.parametrize(
    "text",
    [
        "5 * 3 * 2 cm",
        "5*3*2 cm and 7*8 cm",
        "#1 dad",
        "Model ABC_123_X and __init__x",
        "** Sale **",
        "- Stoneware, handmade",
        "[new] mug (red)",
        "1. Mug",
        "2**3**2",
    ],
)
def test_plain_text_is_not_taken_for_markdown(text: str) -> None:
    assert described(text) == text


def test_a_title_is_taken_literally() -> None:
    assert described("", title="# 5 **star** mug") == "# 5 **star** mug"


def test_html_is_not_taken_for_markdown() -> None:
    assert described("<p>**Red**</p>") == "**Red**"


def test_json_that_was_cut_is_read_as_far_as_it_goes() -> None:
    whole = json.dumps({"blocks": [{"data": {"text": f"word{n}"}} for n in range(2_000)]})
    cut = described(whole[: MAYBE_CUT + 1])
    assert cut.startswith("word0 word1 word2 ")
    assert not set(cut) & set('{}[]":')


PLAIN = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8)
WORDS = PLAIN.map(lambda word: f"w{word}w")
TREES = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "data", "items", "rows"]), inner, min_size=1)
    ),
    max_leaves=10,
)


def leaves(tree: object) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree
    return [leaf for one in inner for leaf in leaves(one)]


@given(TREES, st.booleans())
def test_no_word_of_a_document_is_lost_and_none_of_its_syntax_is_left(
    tree: object, is_indented: bool
) -> None:
    text = json.dumps({"blocks": tree}, indent=2 if is_indented else None)
    found = readable_text(text, "en").split()
    assert found == leaves(tree)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_gives_some_text(title: str, description: str) -> None:
    text = text_of(Product(id="1", title=title, description=description))
    assert " ".join(text.split()) == text


@pytest.mark.parametrize("repeated", ["[", '{"a":', "**", "[a](", "`", "- a\n", "> ", "|-", "!["])
def test_a_hostile_text_stalls_nothing(repeated: str) -> None:
    for start in ("# Mug\n", "{"):
        described(start + repeated * (50_000 // len(repeated)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ('{"Colour": "blue", "Size": "M"}', "Colour: blue, Size: M"),
        ('{"Size": 42, "Care": ["wipe", "air"], "Note": null}', "Size: 42, Care: wipe, air"),
        ('{"Colour": {"en": "blue", "de": "blau"}}', "Colour: blue"),
        ('[{"name": "Size", "value": "M"}]', "Size\nM"),
        ("blue, M", "blue, M"),
        ("", ""),
        ("{}", ""),
    ],
)
def test_options_become_words(options: str, text: str) -> None:
    assert options_text(options, "en") == text


def test_a_text_has_its_parts_and_repeats_none() -> None:
    product = Product(
        id="1",
        title="Acme pearl mug",
        description="Holds 300 ml",
        category="Pear > Mugs",
        options='{"Colour": "blue"}',
        brand="Acme",
    )
    assert text_of(product) == "Acme pearl mug. Holds 300 ml. Pear > Mugs. Colour: blue"

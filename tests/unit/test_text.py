import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shelfsight.embedding.text import MAX_CHARACTERS, product_text

ANY_CHARACTER = st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None)
MARKUP = "<b> </b> <p > < & amp; &lt; &#38; ; <!-- --> <script> </script> ' \" = x / &#0; <img src="
CHARACTERS = " \n\x00e\u0301\u0344\u200b\ud83d\ude00\U0001d160"
PIECES = st.sampled_from([*MARKUP.split(), *CHARACTERS, "<![CDATA[", "]]>", "&nbsp;"])
ANY_TEXT = st.text(ANY_CHARACTER) | st.lists(PIECES, max_size=25).map("".join)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5 < 6 & 7", "5 < 6 & 7"),
        ("I <3 mugs </3", "I <3 mugs </3"),
        ("a<5 but b>4", "a<5 but b>4"),
        ("R&D, 911&GT3 & more", "R&D, 911&GT3 & more"),
        ("size <M, 3>", "size <M, 3>"),
    ],
)
def test_plain_text_with_signs_keeps_its_meaning(written: str, meant: str):
    assert product_text(written, "") == meant


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>two<br>three</p>", "One two three"),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("<B>M</B>ug", "Mug"),
        ("x<script>if (a < b) { c() }</script>y<style>p > a {}</style>z", "x y z"),
        ("x<script>never closed", "x"),
        ("x<!-- a > b -->y<!-- never closed", "x y"),
        ("<a title='5 > 4' href=\"x\">link</a>", "link"),
        ("<a title=don't>it's</a>", "it's"),
        ("Caf&eacute; &amp; th&#233; &#x2615;", "Café & thé ☕"),
        ("5 &lt; 6", "5 < 6"),
        ("&lt;b&gt;bold&lt;/b&gt; &amp;amp; plain", "bold & plain"),
        ("&unknown; &#xd800; &#0;", "&unknown; � �"),
        ("<!DOCTYPE html><?xml version='1'?><![CDATA[A & B]]>", "A & B"),
        ('cut off <img src="data:image/png;base64,iVBOR', "cut off"),
        ("<o:p>Word</o:p>", "Word"),
    ],
)
def test_html_becomes_the_text_a_reader_sees(html: str, text: str):
    assert product_text("", html) == text


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("a\x00b\x1fc\x85d", "a b c d"),
        ("  a \t\r\n\u00a0\u2003 b ", "a b"),
        ("lo\u200bve\ufeff \u202etfel\u202c so\u00adft", "love tfel soft"),
        ("\ud83d\ude00 \ud800", "😀 �"),
        ("e\u0301", "é"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("z" + "\u0301\u0315" * 1000, "ź" + "\u0301" * 31 + "\u0315" * 32),
    ],
)
def test_odd_characters_are_folded(written: str, clean: str):
    assert product_text(written, "") == clean


@pytest.mark.parametrize(
    ("title", "description", "joined"),
    [
        ("Mug", "Holds 300 ml.", "Mug. Holds 300 ml."),
        ("Mug!", "Holds 300 ml.", "Mug! Holds 300 ml."),
        ("Mug", "MUG with a handle", "MUG with a handle"),
        ("Mug", "<p>Mug</p>", "Mug"),
        ("Mug", "Muggy weather", "Mug. Muggy weather"),
        ("Mug", " <br> ", "Mug"),
        ("", "Holds 300 ml.", "Holds 300 ml."),
        (" ", "<p>&nbsp;</p>", ""),
        ("a <b", "c> d", "a d"),
    ],
)
def test_title_and_description_are_joined_without_repeating(
    title: str, description: str, joined: str
):
    assert product_text(title, description) == joined


@given(ANY_TEXT, ANY_TEXT)
@example("&" + "amp;" * 50 + "lt;b>", "")
@example("\u0344" * 40, "")
@example("\U0001d160" * 40, "")
@example("&not", "in;")
@settings(max_examples=300)
def test_any_text_gives_clean_text_that_comes_back_unchanged(title: str, description: str):
    text = product_text(title, description)

    assert product_text(text, "") == text
    assert product_text("", text) == text
    assert unicodedata.is_normalized("NFC", text)
    assert " ".join(text.split()) == text
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
    text.encode()


@pytest.mark.parametrize(
    "repeated",
    ["<div>", "<p>x</p>", '<a "', "<a x='", "<a x=", "<script>", "<!--", "</", "<", "&", "&amp;"],
)
def test_a_huge_page_of_html_is_cut_and_stalls_nothing(repeated: str):
    _assert_cut(product_text("Mug", repeated * (3_000_000 // len(repeated))))


@pytest.mark.parametrize("repeated", ["x y ", "a\u0315\u0300", "\u0301", "\u200b", "語", "\ud800"])
def test_a_huge_text_is_cut_and_stalls_nothing(repeated: str):
    _assert_cut(product_text("Mug", repeated * (3_000_000 // len(repeated))))


def _assert_cut(text: str):
    assert len(text) <= MAX_CHARACTERS
    assert text.startswith("Mug")
    assert product_text(text, "") == text

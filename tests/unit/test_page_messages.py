"""The texts of the page: every language says everything, and the page asks for nothing else."""

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

STATIC = files("shelfsight.serving.scan_api.page") / "static"
LANGUAGES = ("en", "de", "fr", "es", "da")
PLURAL = re.compile(r"\.(one|other)$")
CALL = re.compile(r"""\bt\(\s*(?:"([^"]+)"|`([^`]+)`)""")
CHOICE = re.compile(r"""\bt\(\s*[\w()]+ \? "([^"]+)" : "([^"]+)\"""")


def messages(language: str) -> dict[str, str]:
    text = (STATIC / f"messages-{language}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


ENGLISH = messages("en")
SCRIPTS = "\n".join(
    file.read_text(encoding="utf-8") for file in STATIC.iterdir() if file.name.endswith(".js")
)


class _Marked(HTMLParser):
    """Collects the marks of a page, with the English text or attribute that stands there."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self._open: str | None = None

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._open = given.get("data-t")
        if self._open:
            self.texts.append((self._open, ""))
        for mark, attribute in (("data-t-label", "aria-label"), ("data-t-alt", "alt")):
            if mark in given:
                self.texts.append((given[mark], given[attribute]))

    def handle_data(self, data: str) -> None:
        if self._open:
            key, text = self.texts.pop()
            self.texts.append((key, text + data))

    def handle_endtag(self, _tag: str) -> None:
        self._open = None


def marked() -> list[tuple[str, str]]:
    parser = _Marked()
    parser.feed((STATIC / "index.html").read_text(encoding="utf-8"))
    return [(key, " ".join(text.split())) for key, text in parser.texts]


def asked_for() -> set[str]:
    """The keys in the scripts; `*` stands for what a script puts together."""
    keys = {re.sub(r"\$\{[^}]+\}", "*", one or two) for one, two in CALL.findall(SCRIPTS)}
    return keys | {key for pair in CHOICE.findall(SCRIPTS) for key in pair}


def fits(key: str, pattern: str) -> bool:
    whole = re.escape(pattern).replace(r"\*", "[^.]+")
    return re.fullmatch(whole, PLURAL.sub("", key)) is not None or key == pattern


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    def placeholders(texts: dict[str, str]) -> dict[str, list[str]]:
        return {key: sorted(re.findall(r"\{(\w+)\}", text)) for key, text in texts.items()}

    assert placeholders(messages(language)) == placeholders(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_language_is_not_english_left_as_it_was(language: str) -> None:
    sentences = {key for key, text in ENGLISH.items() if len(text.split()) > 3}
    translated = messages(language)
    assert [key for key in sentences if translated[key] == ENGLISH[key]] == []


def test_the_page_that_is_sent_is_the_english_one() -> None:
    assert [(key, text) for key, text in marked() if ENGLISH.get(key) != text] == []


def test_what_the_page_asks_for_is_there() -> None:
    missing = [one for one in asked_for() if not any(fits(key, one) for key in ENGLISH)]
    assert missing == []


def test_no_text_is_left_over() -> None:
    patterns = asked_for() | {key for key, _ in marked()}
    unused = [key for key in ENGLISH if not any(fits(key, one) for one in patterns)]
    assert unused == []


def test_texts_in_singular_have_a_plural() -> None:
    singular = {key.removesuffix(".one") for key in ENGLISH if key.endswith(".one")}
    assert {f"{key}.other" for key in singular} <= ENGLISH.keys()


def test_the_modules_of_the_page_stay_small() -> None:
    lengths = {
        file.name: len(file.read_text(encoding="utf-8").splitlines())
        for file in STATIC.iterdir()
        if file.name.endswith(".js")
    }
    assert {name: count for name, count in lengths.items() if count > 280} == {}

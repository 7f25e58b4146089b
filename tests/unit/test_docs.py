"""What the docs say is what there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shelfsight.backfill.failure_kinds import KINDS, kind_of
from shelfsight.cli.main import shelfsight
from shelfsight.models.choice import all_models
from shelfsight.models.specs import HubFiles
from shelfsight.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/**/*.md")])
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def commands(outer: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(names), outer
    if isinstance(outer, click.Group):
        context = click.Context(outer)
        for name in outer.list_commands(context):
            inner = outer.get_command(context, name)
            assert inner is not None
            yield from commands(inner, *names, name)


COMMANDS = dict(commands(shelfsight))


def flags(command: click.Command) -> set[str]:
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {flag for one in options for flag in (*one.opts, *one.secondary_opts)} | {"--help"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> list[str]:
    """The lines of code blocks, and what stands between backticks."""
    lines: list[str] = []
    for number, part in enumerate(re.split(r"^```.*$", text_of(page), flags=re.MULTILINE)):
        is_block = number % 2 == 1
        lines += part.splitlines() if is_block else re.findall(r"`([^`]+)`", part)
    return lines


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", ["make demo", "make test", "shelfsight doctor"])
def test_the_readme_says_how_to_begin(command: str) -> None:
    assert command in README


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    assert (COMMANDS[name].help or "").strip()
    options = [one for one in COMMANDS[name].params if isinstance(one, click.Option)]
    unexplained = [one.opts[0] for one in options if not one.help and one.name != "limit"]
    assert not unexplained


@pytest.mark.parametrize("name", [name for name in COMMANDS if name and " " not in name])
def test_every_command_is_in_the_table_of_commands(name: str) -> None:
    table = text_of(ROOT / "docs" / "commands.md")
    assert re.search(rf"^\| \[`{name}\b", table, re.MULTILINE)


def test_every_setting_is_on_its_page_once() -> None:
    page = text_of(ROOT / "docs" / "settings.md")
    markers = re.findall(r"<!-- generate: settings (.+?) -->", page)
    names = [name for marker in markers for name in marker.split()]
    assert sorted(names) == sorted(Settings.model_fields)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_a_description(name: str) -> None:
    assert Settings.model_fields[name].description


def test_each_kind_of_failure_is_documented_with_its_fault() -> None:
    page = text_of(ROOT / "docs" / "failures.md")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    documented = {
        kind: fault.strip() for names, fault in rows for kind in re.findall(r"`(\w+)`", names)
    }
    assert documented == {kind: str(kind_of(kind).fault) for kind in documented}
    assert KINDS.keys() - documented.keys() == {"http_429"}  # it is one of `http_404`, ...


def test_the_settings_that_cause_failures_have_fingerprints() -> None:
    named = {name for kind in KINDS.values() for name in kind.settings}
    assert named == Settings().fingerprints.keys()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_every_command_in_the_docs_has_the_flags_that_it_is_given(page: Path) -> None:
    for line in code_of(page):
        for name, given in calls(line):
            assert given <= flags(COMMANDS[name]), line


def calls(line: str) -> Iterator[tuple[str, set[str]]]:
    """The commands of shelfsight in a line, each with its flags."""
    for found in re.finditer(r"(?:^|[\s/(])shelfsight ([a-z-][^|;&#)]*)", line):
        words = found[1].split()
        name = max(
            (n for n in (" ".join(words[:count]) for count in range(3)) if n in COMMANDS), key=len
        )
        yield name, {re.split("[=,]", word)[0] for word in words if re.match("--[a-z]", word)}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[\w-]+)?\)", text_of(page))
    for target in targets:
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_files_that_are_named_exist(page: Path) -> None:
    folders = "src|tests|docs|benchmarks|deploy|requirements"
    for name in re.findall(rf"`((?:{folders})/[\w./-]+)`", text_of(page)):
        assert "NAME" in name or (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_what_the_docs_tell_to_run_is_there(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    code = "\n".join(code_of(page))
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= set(targets)
    for module in re.findall(r"python -m ((?:benchmarks|tests)[\w.]+)", code):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for script in re.findall(r"python ([\w/]+\.py)", code):
        assert (ROOT / script).exists(), script


def test_files_in_the_table_of_changes_exist() -> None:
    page = text_of(ROOT / "docs" / "architecture.md")
    start, end = page.index("## Where does my change go?"), page.index("## What may import what?")
    for name in re.findall(r"`([\w./]+(?:/|\.py|\.sql|\.md))`", page[start:end]):
        places = (ROOT / "src" / "shelfsight" / name, ROOT / name)
        assert "NAME" in name or any(place.exists() for place in places), name


def said() -> Iterator[str]:
    """Every text in the source, with `...` for what is put in when it is said."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "..."
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_that_are_explained_are_said() -> None:
    page = text_of(ROOT / "docs" / "troubleshooting.md")
    rows = re.findall(r"^\| (`.+?`) \|", page[page.index("## By message") :], re.MULTILINE)
    source = "\n".join(" ".join(text.split()) for text in said())
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    patterns = [".*".join(re.escape(part.strip()) for part in m.split("...")) for m in messages]
    assert [pattern for pattern in patterns if not re.search(pattern, source)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_names_of_the_code_are_those_that_are_there(page: str) -> None:
    """A class, a constant or a function with an underscore, in backticks, occurs in the code."""
    code = "\n".join(
        text_of(file) for top in ("src", "tests") for file in (ROOT / top).rglob("*.py")
    )
    known = set(re.findall(r"\w+", code)) | {name.upper() for name in Settings.model_fields}
    name = r"_?(?:[A-Z][a-z]+(?:[A-Z][a-z]+)+|[a-z]+(?:_[a-z]+)+|[A-Z]+(?:_[A-Z]+)+)"
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text_of(ROOT / page))
    named = {span.rpartition(".")[2] for span in spans if re.fullmatch(rf"(?:\w+\.)*{name}", span)}
    assert len(named) > 5
    assert sorted(named - known) == []


SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def test_the_threat_model_names_tests_that_exist() -> None:
    named = NAMED_TEST.findall(SECURITY)
    assert named
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in defined, f"{file} has no {name}"


def test_each_line_of_the_threat_model_names_the_test_that_holds_it() -> None:
    model = SECURITY.partition("## Threat model")[2].partition("\n## ")[0]
    lines = [line for line in model.splitlines() if line.startswith("| ")]
    promises = [line for line in lines if not line.endswith("| held by |")]
    assert len(promises) > 20
    assert [line for line in promises if not NAMED_TEST.search(line)] == []


def test_the_page_of_models_lists_each_row_and_the_files_that_each_downloads() -> None:
    page = text_of(ROOT / "docs/models.md")
    assert "<!-- generate: models -->" in page
    for spec in (spec for spec in all_models() if isinstance(spec.source, HubFiles)):
        assert spec.torch is not None
        for hub in (spec.source, spec.torch.hub):
            (line,) = (line for line in page.splitlines() if f"({hub.repository})" in line)
            assert all(name in line for name in (hub.graph, *hub.others)), spec.name

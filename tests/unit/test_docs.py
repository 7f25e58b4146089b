"""What the README says is what there is."""

import re
from pathlib import Path

import click
import pytest

from shelfsight.cli.main import shelfsight
from shelfsight.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    inner
    for outer in (shelfsight, *shelfsight.commands.values())
    for inner in (outer, *(outer.commands.values() if isinstance(outer, click.Group) else ()))
]
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", README, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(shelfsight.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"^\| `shelfsight {name}\b", README, re.MULTILINE)


def test_every_setting_is_in_the_readme_and_no_other() -> None:
    assert set(ROWS) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_readme_gives_each_default_as_it_is(name: str) -> None:
    default = Settings.model_fields[name].default
    shown = ROWS[name.upper()].strip().strip("`")
    if name != "shelfsight_home":
        assert shown == ("none" if default in (None, "") else str(default).lower())


def test_every_flag_that_the_readme_names_exists() -> None:
    flags = {
        option
        for command in COMMANDS
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= flags | {"--help"}


@pytest.mark.parametrize("name", sorted(shelfsight.commands))
def test_every_command_explains_itself_beyond_its_first_line(name: str) -> None:
    help_text = shelfsight.commands[name].help or ""
    assert len(help_text.strip().splitlines()) > 1


def test_links_to_files_lead_somewhere() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (root / target).exists(), target

"""Fills in the parts of the docs that are made from the code, when the site is built.

A page asks for such a part by a comment in its Markdown:

    <!-- generate: settings batch_size max_batches -->   a table of these settings
    <!-- generate: commands -->                          every command with its flags
    <!-- generate: formats -->                           the columns of every product file
    <!-- generate: models -->                            the pairs of models, and the models
    <!-- generate: file CONTRIBUTING.md -->              a file of the repository's root

A setting that no page asks for makes the build fail.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
from annotated_types import Ge, Gt, Le
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from pydantic.fields import FieldInfo

from shelfsight.catalog.imports.formats import FORMATS
from shelfsight.cli.main import shelfsight
from shelfsight.models.choice import all_models
from shelfsight.models.descriptions import pair_descriptions
from shelfsight.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"<!-- generate: (\w+)([^>]*?) -->")

_shown: set[str] = set()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every comment that asks for a generated part."""
    return MARKER.sub(_part, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a setting is on no page.

    Raises:
        PluginError: names the settings.
    """
    del config
    if missing := Settings.model_fields.keys() - _shown:
        raise PluginError(f"settings.md does not show: {', '.join(sorted(missing))}")


def _part(found: re.Match[str]) -> str:
    what, names = found[1], found[2].split()
    if what == "settings":
        _shown.update(names)
        return "\n".join(settings_table(names))
    if what == "commands":
        return "\n".join(command_page(shelfsight, "shelfsight"))
    if what == "formats":
        return "\n".join(formats_table())
    if what == "models":
        return "\n".join(models_table())
    if what == "file":
        return root_file(names[0])
    raise PluginError(f"nothing is known of how to generate {what!r}")


def settings_table(names: list[str]) -> Iterator[str]:
    """Give a table with a row for each setting."""
    yield "| variable | default | allowed | meaning |"
    yield "|---|---|---|---|"
    for name in names:
        if name not in Settings.model_fields:
            raise PluginError(f"there is no setting {name!r}")
        field = Settings.model_fields[name]
        default = "" if field.default in (None, "") else f"`{str(field.default).lower()}`"
        meaning = _cell(field.description or "")
        yield f"| `{name.upper()}` | {default} | {_allowed(field)} | {meaning} |"


def _allowed(field: FieldInfo) -> str:
    if choices := [value for value in get_args(field.annotation) if isinstance(value, str)]:
        return ", ".join(f"`{value}`" for value in choices)
    if field.annotation is bool:
        return "`true`, `false`"
    bounds = {type(bound): bound for bound in field.metadata}
    least, most, above = bounds.get(Ge), bounds.get(Le), bounds.get(Gt)
    if least and most:
        return f"{least.ge:,} to {most.le:,}"
    if least:
        return f"{least.ge:,} or more"
    return f"more than {above.gt:,}" if above else ""


def models_table() -> Iterator[str]:
    """Give a table of the pairs of models, and one of the models."""
    yield "| `MODELS` | image model | text model | licence | download | good for |"
    yield "|---|---|---|---|---|---|"
    for pair in pair_descriptions():
        row = (f"`{pair.name}`", pair.image, pair.text, pair.licence, pair.download, pair.use)
        yield f"| {' | '.join(map(_cell, row))} |"
    yield "\n| model | revision | figures |\n|---|---|---|"
    for spec in all_models():
        figures = "" if spec.facts is None else spec.facts.figures
        yield f"| `{spec.name}` | `{spec.revision}` | {_cell(figures)} |"


def command_page(command: click.Command, name: str, level: int = 1) -> Iterator[str]:
    """Give a section for each command, outermost first."""
    if level > 1:
        yield f"{'#' * level} {name}\n"
    yield from _help(command.help or "")
    own = [one for one in command.params if one.name not in Settings.model_fields]
    arguments = [one.make_metavar(click.Context(command)) for one in own if _is_argument(one)]
    inner = " COMMAND" if isinstance(command, click.Group) else ""
    yield f"```text\n{' '.join([name, '[OPTIONS]', *arguments])}{inner}\n```\n"
    options = [one for one in own if isinstance(one, click.Option) and not one.hidden]
    if options:
        yield "| flag | meaning |\n|---|---|"
        yield from (_flag_row(option) for option in options)
        yield ""
    if settings := [one for one in command.params if one.name in Settings.model_fields]:
        flags = ", ".join(f"`{one.opts[0]}`" for one in settings)
        yield f"[Settings](settings.md) as flags: {flags}\n"
    for word, inner_command in inner_commands(command):
        yield from command_page(inner_command, f"{name} {word}", level + 1)


def inner_commands(command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Give the commands of a group, in the order of its help; a lazy one imports each."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            if (found := command.get_command(context, word)) is not None:
                yield word, found


def _help(text: str) -> Iterator[str]:
    r"""Give the help as paragraphs; a part that click leaves as it is (\b) is shown as code."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield f"```text\n{paragraph[2:]}\n```\n"
        else:
            yield f"{paragraph}\n"


def _flag_row(option: click.Option) -> str:
    context = click.Context(click.Command("any"))
    names = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f" `{option.make_metavar(context)}`"
    has_default = option.show_default and option.default is not None
    default = f" Default: `{option.default}`." if has_default else ""
    return f"| {_cell(names + takes)} | {_cell(option.help or '')}{default} |"


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def formats_table() -> Iterator[str]:
    """Give a table with the columns that are used of each format that is recognised."""
    yield "| format | columns that are used; `#` is any number |"
    yield "|---|---|"
    for one in FORMATS:
        columns: dict[str, list[str]] = {}
        for column, field in one.columns.items():
            columns.setdefault(field.partition(".")[0], []).append(f"`{_cell(column)}`")
        parts = [f"{field}: {', '.join(names)}" for field, names in columns.items()]
        yield f"| {one.name} | {'; '.join(parts)} |"


def root_file(name: str) -> str:
    """Give a file of the repository, its links as seen from the docs, without its title."""
    text = (ROOT / name).read_text(encoding="utf-8")
    _, _, body = text.partition("\n")
    return re.sub(r"\]\(docs/", "](", body)

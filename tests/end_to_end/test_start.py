"""A command imports only what it uses, so that it starts fast."""

import subprocess
import sys

import click
import pytest

from shelfsight.cli.main import SECTIONS, shelfsight

FOR_VECTORS = {"numpy", "PIL", "onnxruntime", "onnx", "tokenizers", "aiohttp", "huggingface_hub"}
FOR_SETTINGS = {"pydantic", "pydantic_settings"}
FOR_THE_DATABASE = {"psycopg", "pgvector"}
FOR_SERVERS = {"fastapi", "starlette", "uvicorn", "prometheus_client"}

PRINT_MODULES = """
import sys
from shelfsight.cli import main
sys.argv = ["shelfsight", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print("modules", *sys.modules)
"""


def imported(*arguments: str) -> set[str]:
    """The packages that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.splitlines()[-1].split()
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_no_library_but_click(arguments: list[str]) -> None:
    heavy = FOR_VECTORS | FOR_SETTINGS | FOR_THE_DATABASE | FOR_SERVERS
    assert imported(*arguments) & heavy == set()


def test_help_on_the_server_imports_no_server() -> None:
    assert (
        imported("serve-models", "--help") & (FOR_VECTORS | FOR_THE_DATABASE | FOR_SERVERS) == set()
    )


def test_commands_that_only_ask_the_database_import_nothing_for_vectors(url: str) -> None:
    assert imported("init", "--database-url", url) & (FOR_VECTORS | FOR_SERVERS) == set()
    for name in ("status", "runs", "failures"):
        used = imported(name, "--database-url", url)
        assert (name, used & (FOR_VECTORS | FOR_SERVERS)) == (name, set())


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    context = click.Context(shelfsight)
    for commands in SECTIONS.values():
        for name, (_, summary) in commands.items():
            command = shelfsight.get_command(context, name)
            assert command is not None
            assert (name, command.get_short_help_str(1000)) == (name, summary)

"""Flags, environment variables and `.env`: what is accepted, and what is refused early."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shelfsight.settings import Settings
from tests.end_to_end.command import PASSWORD, Command, failed_plainly

DATABASE_COMMANDS = ("backfill", "doctor", "import", "init", "scan", "serve", "status")
COMMANDS = (*DATABASE_COMMANDS, "demo", "keys", "serve-models")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listens in place of the database, to notice every connection attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def shelfsight(tmp_path: Path, listener: socket.socket) -> Command:
    port = listener.getsockname()[1]
    url = f"postgresql://shop:{PASSWORD}@127.0.0.1:{port}/shop"
    return Command(tmp_path, DATABASE_URL=url, MODELS="lite")


def nobody_connected(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


def test_every_command_has_a_help_text_and_every_setting_is_a_flag(
    shelfsight: Command,
) -> None:
    done = {name: shelfsight.here(name, "--help") for name in COMMANDS}
    assert {one.returncode for one in done.values()} == {0}
    shown = {name: one.stdout for name, one in done.items()}
    assert [name for name, text in shown.items() if not text.startswith("Usage: shelfsight")] == []
    everything = "".join(shown.values())
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in everything
        assert f"[{name.upper()}" in everything
    for command in DATABASE_COMMANDS:
        assert "--database-url" in shown[command]
        assert "--shelfsight-home" in shown[command]
    for flag in ("--models", "--embedding-server-url", "--image-weight"):
        assert flag in shown["scan"]
    assert "--images-per-product" in shown["status"]


def test_help_without_a_command_lists_the_commands(shelfsight: Command) -> None:
    done = shelfsight("--help")
    assert done.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["backfil"], "No such command 'backfil'"),
        (["backfill", "--al"], "No such option '--al'"),
        (["backfill", "--missing", "title"], "'title' is not one of"),
        (["backfill", "--since", "yesterday"], "'yesterday' is not a time such as 2026-01-31"),
        (["scan"], "give a photo, --text, or both"),
    ],
)
def test_wrong_usage_is_exit_status_2_and_points_to_the_help(
    shelfsight: Command, listener: socket.socket, arguments: list[str], error: str
) -> None:
    done = shelfsight.here(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
    assert "--help' for help" in done.stderr
    assert nobody_connected(listener)


def test_all_invalid_settings_are_named_before_anything_starts(
    shelfsight: Command, listener: socket.socket
) -> None:
    wrong = {
        "BATCH_SIZE": ("0", "greater than or equal to 1"),
        "SKIP_EXISTING": ("maybe", "true or false"),
        "IMAGE_WEIGHT": ("-1", "greater than or equal to 0"),
        "EMBEDDING_SERVER_URL": ("localhost:8000", "http://... or https://..."),
        "MODELS": ("clip", "image:NAME,text:NAME (see: shelfsight models --list)"),
    }
    done = shelfsight("backfill", **{name: value for name, (value, _) in wrong.items()})
    lines = failed_plainly(done, 2).splitlines()
    assert len(lines) == len(wrong)
    for name, (value, allowed) in wrong.items():
        (line,) = (line for line in lines if f" {name}=" in line)
        assert f"{name}='{value}' makes no sense; allowed is " in line
        assert line.endswith(allowed)
    assert done.stdout == ""
    assert nobody_connected(listener)


def test_weights_that_are_both_0_are_refused(shelfsight: Command) -> None:
    done = shelfsight("scan", "--text=mug", "--image-weight=0", "--text-weight=0")
    assert "IMAGE_WEIGHT and TEXT_WEIGHT are both 0" in failed_plainly(done, 2)


@pytest.mark.parametrize(
    "url",
    [
        f"shop:{PASSWORD}@db.example.com/shop",
        f"mysql://shop:{PASSWORD}@db.example.com/shop",
        f"postgresql://shop:%zz{PASSWORD}@db.example.com/shop",
    ],
)
def test_an_invalid_database_url_is_named_without_its_password(
    shelfsight: Command, url: str
) -> None:
    error = failed_plainly(shelfsight.here("status", DATABASE_URL=url), 2)
    assert error.startswith("shelfsight: DATABASE_URL='...@db.example.com/shop' makes no sense")


def test_a_flag_beats_the_environment_which_beats_the_file(shelfsight: Command, url: str) -> None:
    (shelfsight.folder / ".env").write_text(
        f"DATABASE_URL={url}\nBATCH_SIZE=10\nMAX_BATCHES=20\nTEXT_WEIGHT=0.5\nOTHERS=x\n"
    )
    environment = {"DATABASE_URL": "", "BATCH_SIZE": "11", "MAX_BATCHES": "21"}
    assert shelfsight("init", **environment).returncode == 0
    header = shelfsight.json("backfill", "--dry-run", "--batch-size=12", **environment)[0]
    assert (header["batch_size"], header["max_batches"]) == ("12", "21")
    assert header["weights"] == "image 0.7, text 0.5"

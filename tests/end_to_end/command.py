"""Run the real `shelfsight` command in its own process, isolated from the user's environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest import mock

from shelfsight.cli.main import main

PASSWORD = "hunter2"

PATIENCE = 300
"""Seconds after which a command counts as stuck: on a busy machine the demo takes minutes."""

Done = subprocess.CompletedProcess[str]


class Command:
    """`shelfsight` in `folder`, with the given environment variables and none of the user's."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self._variables = variables

    def __call__(self, *arguments: str, **variables: str) -> Done:
        """Run to the end; fail if the output contains the database password."""
        process = self.start(*arguments, **variables)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        assert PASSWORD not in out + err
        return Done(arguments, process.returncode, out, err)

    def here(self, *arguments: str, **variables: str) -> Done:
        """Run to the end in this process, for what a process of its own would show no better."""
        out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
        status: object = None
        with (
            mock.patch.dict(os.environ, self.environment(**variables), clear=True),
            mock.patch.object(sys, "argv", ["shelfsight", *arguments]),
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                status = end.code
        assert isinstance(status, int)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
        assert PASSWORD not in "".join(texts)
        return Done(arguments, status, *texts)

    def json(self, *arguments: str, **variables: str) -> list[dict[str, Any]]:
        """Run with `--json`, assert that it succeeded, and return the printed objects."""
        done = self(*arguments, "--json", **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def result(self, *arguments: str, **variables: str) -> dict[str, Any]:
        """Run `backfill --json` and return its last line, whatever the exit status."""
        done = self("backfill", "--json", *arguments, **variables)
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert last.pop("event") == "result", done
        assert last["exit_status"] == done.returncode
        return last

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the command with pipes for stdout and stderr."""
        return subprocess.Popen(
            [sys.executable, "-m", "shelfsight", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def started(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Start the command, and kill it at the end of the `with` block."""
        with self.start(*arguments, **variables) as process:
            try:
                yield process
            finally:
                process.kill()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return all environment variables of the command."""
        clean = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
        }
        return clean | self._variables | variables


def failed_plainly(done: Done, status: int) -> str:
    """Assert the exit status and that stderr holds only our own messages; return stderr."""
    assert done.returncode == status, done
    lines = done.stderr.splitlines()
    assert lines, done
    assert [line for line in lines if not line.startswith("shelfsight: ")] == []
    return done.stderr


def address_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Read a starting server's output until it listens; return that output and the URL."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("serving scans at "):
            return output, line.split(" at ")[1].split(";")[0]
    raise AssertionError(output)

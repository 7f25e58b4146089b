"""Processes that share a folder as containers share a volume: each in namespaces of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from queue import Queue
from threading import Thread
from typing import Self

PATIENCE = 120
"""Seconds after which what is waited for counts as stuck."""

_NAMESPACES = ("--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child")

WRITER = """
import sys
from pathlib import Path
from threading import Event
import psycopg
from shelfsight.embedded_postgres.instance import EmbeddedPostgres

database = EmbeddedPostgres(Path(sys.argv[1]))
name, number = sys.argv[2], int(sys.argv[3])
while True:
    url = database.start()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS written (name text, number int)")
            while True:
                connection.execute("INSERT INTO written VALUES (%s, %s)", [name, number])
                print(number, flush=True)
                number += 1
                Event().wait(0.002)
    except psycopg.Error:
        number += 1  # this one may have been committed
"""
"""Inserts numbers, and prints each that is committed. It starts a server that is gone again."""


class Container:
    """A process in PID, IPC and UTS namespaces of its own; if it is killed, all in it are.

    With `apart=False` it runs in the namespaces of this process.
    """

    def __init__(self, code: str, *arguments: object, apart: bool = True) -> None:
        self.process = subprocess.Popen(
            [*(namespaces() if apart else ()), sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self) -> str:
        """Return the next line that it says."""
        line = self._lines.get(timeout=PATIENCE)
        assert line is not None, f"it ended with {self.process.wait(PATIENCE)}"
        return line

    def rest(self) -> Iterator[str]:
        """Return the lines that it has said until now, or until its end if it has ended."""
        if self.process.poll() is not None:
            self._reader.join(PATIENCE)
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                yield line

    def tell(self, line: str) -> str:
        """Write a line to it, and return its answer."""
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> int:
        """Close its input, and wait until it has ended by itself."""
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it, and with it everything that runs in its namespaces."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._reader.join(PATIENCE)
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)


@cache
def namespaces() -> tuple[str, ...]:
    """Return the command that runs another in new namespaces; empty where nobody may make them.

    Without it the processes of a test see one another. What they would not see is then covered by
    `test_a_server_whose_process_cannot_be_seen_is_shared` alone.
    """
    program = shutil.which("unshare")
    for user in ((), ("--user", "--map-current-user")):
        command = (program, *user, *_NAMESPACES)
        if program and subprocess.run([*command, "true"], check=False).returncode == 0:
            return command
    return ()

"""Containers on one volume are killed at random, and so is Postgres: no committed row may be lost.

    python -m tests.integration.container_torture [--runs N] [--seed S] [--events 8]

Two writers insert rows into one embedded Postgres and say which are committed. Some run in a
container, some beside this process. Each event kills a writer with all that runs in its container,
both writers, the server alone, or one of the server's processes.
"""

import argparse
import os
import random
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg

from shelfsight.embedded_postgres import keeper
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from tests.integration.containers import WRITER, Container
from tests.open_folder import open_folder
from tests.seeded_runs import run_seeds

EVENTS = "writer", "both writers", "server", "backend"


class Writers:
    """The two writers, and what each has committed."""

    def __init__(self, home: Path, chance: random.Random, stack: ExitStack) -> None:
        self._home = home
        self._chance = chance
        self._stack = stack
        self.committed: dict[str, set[int]] = {"a": set(), "b": set()}
        self._running = {name: self._start(name) for name in self.committed}

    def _start(self, name: str) -> Container:
        first = max(self.committed[name], default=0) + 1
        # a row may be committed without its writer having said so: leave room for that one
        writer = Container(WRITER, self._home, name, first + 1, apart=self._chance.random() < 0.7)
        return self._stack.enter_context(writer)

    def kill(self, name: str) -> None:
        self._running[name].kill()

    def revive(self) -> None:
        """Start the writers that were killed. None may have ended by itself."""
        self._take()
        for name, container in self._running.items():
            if (status := container.process.poll()) is not None:
                assert status == -signal.SIGKILL, f"writer {name} ended by itself"
                self._running[name] = self._start(name)

    def wait_for_rows(self) -> None:
        """Wait until each writer has committed something new."""
        for name, container in self._running.items():
            for _ in range(2):
                self.committed[name].add(int(container.line()))

    def end(self) -> None:
        """Kill both."""
        for container in self._running.values():
            container.kill()
        self._take()

    def _take(self) -> None:
        for name, container in self._running.items():
            self.committed[name].update(map(int, container.rest()))


def run(seed: int, events: int) -> list[str]:
    """Run one torture with this seed; return what was lost or doubled."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        home = stack.enter_context(open_folder())
        writers = Writers(home, chance, stack)
        writers.wait_for_rows()
        for _ in range(events):
            time.sleep(chance.random() * 0.5)
            _strike(chance, home, writers)
            writers.revive()
            if chance.random() < 0.7:  # otherwise the next event hits while they start
                writers.wait_for_rows()
        writers.wait_for_rows()
        writers.end()
        with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
            stored = connection.execute("SELECT name, number FROM written").fetchall()
    committed = {(name, number) for name, rows in writers.committed.items() for number in rows}
    found = []
    if lost := committed - set(stored):
        found.append(f"lost {len(lost)} of {len(committed)} rows")
    if doubled := len(stored) - len(set(stored)):
        found.append(f"doubled {doubled} rows")
    return found


def _strike(chance: random.Random, home: Path, writers: Writers) -> None:
    event, victim = chance.choice(EVENTS), chance.choice("ab")
    if event == "writer":
        writers.kill(victim)
        return
    if event == "both writers":
        for name in chance.sample("ab", 2):
            writers.kill(name)
        return
    server = keeper.find_server(home.resolve() / "postgres")
    if server is None or server.pid == 0:
        return
    pids = [server.pid] if event == "server" else _children(server.pid)
    if pids:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


def _run(seed: int, options: argparse.Namespace) -> tuple[bool, str]:
    found = run(seed, options.events)
    return not found, "; ".join(found) or "nothing lost, nothing doubled"


def main() -> int:
    """Run with one or many seeds; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=8)
    return run_seeds(parser, _run)


if __name__ == "__main__":
    sys.exit(main())

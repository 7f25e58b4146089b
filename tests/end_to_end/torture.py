"""Torture test: kill workers and Postgres at random while the shop edits its products.

    python -m tests.end_to_end.torture [--runs N] [--seed S] [--products 5000] [--workers 4]
                                       [--events 30]

It uses real workers (`shelfsight backfill`), a Postgres of its own and an embedding server that
counts requests. A last run without disturbances follows; after it every product must have exactly
the vectors of its current content.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from aiohttp import web
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import Connection, OperationalError, connect
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from shelfsight.embedded_postgres import keeper
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.images.decode import pixels
from shelfsight.records import PictureFormat, Vector
from tests.end_to_end.command import Command
from tests.end_to_end.picture_host import draw
from tests.end_to_end.shop_tables import create_tables
from tests.integration.remote.scripted_server import (
    Server,
    image_vector,
    serving,
    text_vector,
    unit,
)
from tests.open_folder import open_folder
from tests.seeded_runs import run_seeds

BATCH = 20
TITLE_PREFIX = "Thing no. "
PICTURES = 12
ARGUMENTS = ("backfill", "--all", f"--batch-size={BATCH}", "--image-root=.", "--json", "--yes")


@dataclass
class Shop:
    """The shop, and in `living` what it should contain: title and picture by product id."""

    url: str
    random: random.Random
    living: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    made: int = 0

    def fill(self, count: int) -> None:
        """Insert the first products."""
        with self.open() as connection:
            for _ in range(count):
                self._add(connection)

    def edit(self) -> None:
        """Change titles and pictures, delete products, insert others."""
        with self.open() as connection:
            for _ in range(10):
                self._change(connection, title=True)
                self._change(connection, title=False)
            for _ in range(3):
                deleted = self.random.choice(sorted(self.living))
                connection.execute('DELETE FROM "ProductVariants" WHERE "Id" = %s', [deleted])
                del self.living[deleted]
                self._add(connection)

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """Connect to Postgres, retrying while it restarts."""
        for attempt in Retrying(
            retry=retry_if_exception_type(OperationalError),
            stop=stop_after_delay(60),
            wait=wait_fixed(0.2),
            reraise=True,
        ):
            with attempt:
                connection = connect(self.url)
        with connection:
            yield connection

    def _add(self, connection: Connection) -> None:
        title, picture = self._title(), self._picture()
        ((id_,),) = connection.execute(
            'INSERT INTO "ProductVariants" ("Title") VALUES (%s) RETURNING "Id"::text', [title]
        ).fetchall()
        self.living[id_] = title, None
        if self.random.random() < 0.7:
            connection.execute(
                'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, %s)',
                [id_, picture],
            )
            self.living[id_] = title, picture

    def _change(self, connection: Connection, *, title: bool) -> None:
        id_ = self.random.choice(sorted(self.living))
        old_title, old_picture = self.living[id_]
        if title:
            new = self._title()
            connection.execute(
                'UPDATE "ProductVariants" SET "Title" = %s WHERE "Id" = %s', [new, id_]
            )
            self.living[id_] = new, old_picture
        elif old_picture is not None:
            new = self._picture()
            connection.execute(
                'UPDATE "ProductImages" SET "ImageUrl" = %s WHERE "ProductVariantId" = %s',
                [new, id_],
            )
            self.living[id_] = old_title, new

    def _title(self) -> str:
        self.made += 1
        return f"{TITLE_PREFIX}{self.made}"

    def _picture(self) -> str:
        return f"{self.random.randrange(PICTURES)}.png"


class CountingServer(Server):
    """Embeds after a short delay, counts how often it embeds each text, and fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: Counter[str] = Counter()
        self._fails_until = 0.0

    def fail(self, seconds: float) -> None:
        """Respond with a 5xx to every request for this many seconds."""
        self._fails_until = time.monotonic() + seconds

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if time.monotonic() < self._fails_until and request.path != "/health":
            return web.Response(status=random.choice((500, 502, 503)))
        await asyncio.sleep(0.02)  # the time a model takes
        try:
            answer = await super().handle(request)
        except ConnectionResetError:  # its worker was killed
            return web.Response()
        self.requests.clear()
        self.headers.clear()
        return answer

    def embed_text(self, body: dict) -> web.Response:
        self.embedded.update(body["texts"])
        return super().embed_text(body)


class Workers:
    """A fixed number of backfill processes; `keep_up` replaces those that ended or were killed."""

    def __init__(self, command: Command, count: int) -> None:
        self._command = command
        self._processes: list[subprocess.Popen[str] | None] = [None] * count
        self._log = command.folder / "workers.log"

    def keep_up(self) -> None:
        """Start a process for each one that has ended."""
        for place, process in enumerate(self._processes):
            if process is None or process.poll() is not None:
                self._processes[place] = self._start()

    def kill_one(self, which: random.Random) -> None:
        """Kill a random worker with SIGKILL."""
        process = self._processes[which.randrange(len(self._processes))]
        if process is not None:
            process.kill()
            process.wait()

    def wait(self) -> None:
        """Wait until all workers have ended by themselves."""
        for process in self._processes:
            if process is not None:
                try:
                    process.wait(300)
                except subprocess.TimeoutExpired:
                    sys.stderr.write(self._log.read_text()[-2_000:])
                    raise

    def kill_all(self) -> None:
        """Kill all workers."""
        for process in self._processes:
            if process is not None:
                process.kill()
                process.wait()

    def _start(self) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "shelfsight", *ARGUMENTS],
                cwd=self._command.folder,
                env=self._command.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a torture run.

    `again` counts repeated embeddings of a text; `allowed` is their upper limit: a batch for each
    killed worker.
    """

    events: Counter[str]
    products: int
    last: dict[str, object]
    faults: list[str]
    again: int
    allowed: int

    def lines(self) -> list[str]:
        """Return the report, line by line."""
        events = ", ".join(f"{count} x {name}" for name, count in sorted(self.events.items()))
        return [
            events,
            f"the quiet run: {self.last}",
            f"{self.products} living products, {len(self.faults)} wrong {self.faults[:5] or ''}",
            f"texts embedded again: {self.again}, at the most {self.allowed} allowed",
        ]

    @property
    def is_good(self) -> bool:
        """Whether all vectors are right, nothing remains, and no text was embedded needlessly."""
        return not self.faults and self.again <= self.allowed and not self.last["remaining"]


def torture(*, products: int, workers: int, events: int, seed: int) -> Outcome:
    """Run the torture test and return its outcome."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        url = stack.enter_context(EmbeddedPostgres(folder / "home", database="shop"))
        server = CountingServer()
        address = stack.enter_context(serving(server.handle))
        for number in range(PICTURES):
            draw(number).save(folder / f"{number}.png")
        create_tables(url)
        shop = Shop(url, chance)
        shop.fill(products)
        command = Command(folder, DATABASE_URL=url, EMBEDDING_SERVER_URL=address)
        crew = Workers(command, workers)
        stack.callback(crew.kill_all)

        happen: dict[str, Callable[[], None]] = {
            "worker killed": lambda: crew.kill_one(chance),
            "Postgres killed": lambda: kill_postgres(stack, folder / "home"),
            "connections dropped": lambda: drop_connections(shop),
            "server fails": lambda: server.fail(chance.uniform(0.1, 3)),
            "lease skewed": lambda: skew_lease(shop, chance),
            "shop edited": shop.edit,
        }
        names = [*happen, *chance.choices(list(happen), k=max(events - len(happen), 0))][:events]
        chance.shuffle(names)
        for name in names:
            crew.keep_up()
            time.sleep(chance.uniform(0.2, 2))
            happen[name]()
        crew.wait()
        last = command.result(
            *("--all", f"--batch-size={BATCH}", "--image-root=.", "--retry-failed", "--yes")
        )
        command("prune")
        counts = Counter(names)
        return Outcome(
            events=counts,
            products=len(shop.living),
            last={name: last[name] for name in ("found", "embedded", "failed", "remaining")},
            faults=list(faults(shop, folder)),
            again=sum(
                count - 1
                for text, count in server.embedded.items()
                if text.startswith(TITLE_PREFIX)
            ),
            allowed=counts["worker killed"] * BATCH,
        )


def kill_postgres(stack: ExitStack, home: Path) -> None:
    """Kill the Postgres server with SIGKILL and start it again."""
    server = keeper.find_server(home.resolve() / "postgres")
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    stack.enter_context(EmbeddedPostgres(home, database="shop"))


def drop_connections(shop: Shop) -> None:
    """Terminate all connections, as a network failure or a pooler's restart does."""
    with shop.open() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'shelfsight'"
        )


def skew_lease(shop: Shop, chance: random.Random) -> None:
    """Shift the expiry of open leases by an hour, as a move to another machine's clock does."""
    with shop.open() as connection:
        connection.execute(
            """UPDATE shelfsight."BackfillLeases"
            SET "ExpiresAt" = "ExpiresAt" + %s * interval '1 hour'
               WHERE "DoneAt" IS NULL AND "ExpiresAt" IS NOT NULL""",
            [chance.choice((-1, 1))],
        )


def faults(shop: Shop, folder: Path) -> Iterator[str]:
    """Yield each difference between the stored vectors and what the shop should contain."""
    images = {
        f"{number}.png": picture_vector(folder / f"{number}.png") for number in range(PICTURES)
    }
    with shop.open() as connection:
        register_vector(connection)
        rows = connection.execute(
            """SELECT "ProductVariantId"::text, "TextEmbedding", "ImageEmbedding", "ImageUrl"
               FROM "ProductEmbeddings" """
        ).fetchall()
    counts = Counter(row[0] for row in rows)
    yield from (f"{id_} is there {count} times" for id_, count in counts.items() if count > 1)
    yield from (f"{id_} is gone from the shop" for id_ in counts.keys() - shop.living.keys())
    yield from (f"{id_} is missing" for id_ in shop.living.keys() - counts.keys())
    for id_, text, image, url in rows:
        title, picture = shop.living.get(id_, ("", None))
        if title and not same(text, unit(text_vector(title))):
            yield f"{id_} has a stale text"
        if title and (url != picture or not same(image, images.get(picture or ""))):
            yield f"{id_} has a stale picture: {url}, not {picture}"


def picture_vector(file: Path) -> Vector:
    """Return the vector that the embedding server gives a picture."""
    shown = pixels(file.read_bytes(), PictureFormat(side=32, resample="bilinear"))
    return unit(image_vector(shown))


def same(stored: HalfVector | None, expected: Vector | None) -> bool:
    """Return whether the vectors are equal up to rounding, or both missing."""
    if stored is None or expected is None:
        return stored is None and expected is None
    return float(unit(stored.to_numpy().astype(np.float32)) @ expected) > 0.9999


def _run(seed: int, options: argparse.Namespace) -> tuple[bool, str]:
    outcome = torture(
        products=options.products, workers=options.workers, events=options.events, seed=seed
    )
    return outcome.is_good, "; ".join(outcome.lines())


def main() -> int:
    """Run with one or many seeds; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--events", type=int, default=30)
    return run_seeds(parser, _run)


if __name__ == "__main__":
    sys.exit(main())

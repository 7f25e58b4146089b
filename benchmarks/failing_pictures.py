"""The cost of bad pictures: a backfill that has some, against one of only the good products.

1% of the pictures are broken, 1% are missing, 0.5% are on hosts that accept connections and never
respond, and one is a decompression bomb. Prints the good products per second of both runs, measured
alternately, their ratio, and the failures by kind:

    python benchmarks/failing_pictures.py [--products 12000] [--silent-hosts 4] [--rounds 3]
"""

import argparse
import asyncio
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from uuid import UUID

import numpy as np
import psycopg
from aiohttp import web
from PIL import Image

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import schema

DRAWN = 64
"""Number of distinct pictures; even so each product has its own URL."""

SHARES = {"broken": 0.01, "missing": 0.01, "silent": 0.005}
KINDS = {
    "broken": {"broken_image"},
    "missing": {"http_404"},
    "silent": {"timeout", "host_paused"},
    "bomb": {"too_many_pixels"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A product; `fault` says what is wrong with its picture, and is empty for a good one."""

    id: str
    url: str
    fault: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, default=12_000)
    parser.add_argument("--silent-hosts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.silent_hosts))
        return
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with (
            picture_hosts(arguments.silent_hosts) as hosts,
            EmbeddedPostgres(Path(home), database="postgres") as url,
        ):
            items = catalogue(arguments.products, hosts, random.Random(arguments.seed))
            compare(url, items, arguments.rounds)


def compare(url: str, items: list[Item], rounds: int) -> None:
    good = [item for item in items if not item.fault]
    print(f"{len(good)} products with a good picture, and {len(items) - len(good)} with a bad one:")
    ratios = []
    for number in range(rounds):
        clean, _ = measured(url, f"clean{number}", good)
        failing, kinds = measured(url, f"failing{number}", items)
        ratios.append(clean / failing)
        print(
            f"  alone {len(good) / clean:.1f} good products/s, with the bad ones"
            f" {len(good) / failing:.1f}: ratio {ratios[-1]:.3f}, {failing - clean:+.1f} s",
            flush=True,
        )
        print(f"    {', '.join(f'{kind}: {count}' for kind, count in kinds.most_common())}")
    print(f"  median ratio {median(ratios):.3f}")


def catalogue(products: int, hosts: list[str], chance: random.Random) -> list[Item]:
    """Return products in random order, with the given shares of bad pictures."""
    faults = ["bomb"]
    for fault, share in SHARES.items():
        faults += [fault] * round(products * share)
    faults += [""] * (products - len(faults))
    chance.shuffle(faults)
    good, *silent = hosts
    return [
        Item(
            id=str(UUID(int=chance.getrandbits(128))),
            url=f"http://{chance.choice(silent) if fault == 'silent' else good}"
            f"/{fault or 'good'}/{number}.jpg",
            fault=fault,
        )
        for number, fault in enumerate(faults)
    ]


def measured(url: str, name: str, items: list[Item]) -> tuple[float, Counter[str]]:
    """Backfill a new database in its own process; return seconds and failures by kind.

    The time starts when the models are loaded and ends when everything is stored.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    own = url.replace("/postgres?", f"/{name}?")
    with closing(Database(own)) as database:
        schema.create(database)
        database.run(lambda connection: fill(connection, items))
        seconds = backfill(own)
        kinds = database.run(lambda connection: check(connection, items))
    return seconds, kinds


def fill(connection: Connection, items: list[Item]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy('COPY "ProductVariants" ("Id", "Sku", "Title") FROM STDIN') as copy:
            for number, item in enumerate(items):
                copy.write_row((item.id, f"sku-{number}", f"Product number {number}"))
        with cursor.copy(
            'COPY "ProductImages" ("ProductVariantId", "ImageUrl") FROM STDIN'
        ) as copy:
            for item in items:
                copy.write_row((item.id, item.url))
    connection.execute('ANALYZE "ProductVariants", "ProductImages"')


def backfill(url: str) -> float:
    environment = os.environ | {"DATABASE_URL": url, "ALLOW_PRIVATE_IMAGES": "127.0.0.1"}
    words = ["-m", "shelfsight", "backfill", "--all", "--json", "--models", "lite"]
    began = 0.0
    with subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "start":
                began = time.perf_counter()
            elif event["event"] == "message":
                print(f"    {event['text']}", flush=True)
            elif event["event"] == "result":
                return time.perf_counter() - began
    raise SystemExit(f"the backfill ended with {process.returncode}")


def check(connection: Connection, items: list[Item]) -> Counter[str]:
    """Check that good products have image vectors and bad ones the right failure; count failures.

    Raises:
        SystemExit: a product has another outcome.
    """
    stored = connection.execute(
        'SELECT "ProductVariantId"::text FROM "ProductEmbeddings"'
        ' WHERE "ImageEmbedding" IS NOT NULL'
    )
    embedded = {row[0] for row in stored}
    failed = dict(
        connection.execute(
            'SELECT "ProductVariantId"::text, "Kind" FROM shelfsight."EmbeddingFailures"'
        ).fetchall()
    )
    for item in items:
        kind = failed.get(item.id, "")
        if (item.id in embedded) == bool(item.fault) or kind not in KINDS.get(item.fault, {""}):
            raise SystemExit(f"{item} must not have the failure {kind or 'none'}")
    return Counter(failed.values())


@contextmanager
def picture_hosts(silent: int) -> Iterator[list[str]]:
    """Start a good host and silent ones in their own process; yield each `host:port`."""
    words = [sys.executable, __file__, "--serve", "--silent-hosts", str(silent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


async def serve(silent: int) -> None:
    drawn = [picture(number) for number in range(DRAWN)]
    large = bomb()

    async def good(request: web.Request) -> web.Response:
        return jpeg(drawn[int(request.match_info["number"]) % DRAWN])

    async def broken(request: web.Request) -> web.Response:
        whole = drawn[int(request.match_info["number"]) % DRAWN]
        return jpeg(whole[: len(whole) // 2])

    async def explode(_: web.Request) -> web.Response:
        return jpeg(large)

    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    app = web.Application()
    for name, handler in {"good": good, "broken": broken, "bomb": explode}.items():
        app.router.add_get(f"/{name}/{{number}}.jpg", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    servers = [await asyncio.start_server(never, "127.0.0.1", 0) for _ in range(silent)]
    ports = [runner.addresses[0][1], *(one.sockets[0].getsockname()[1] for one in servers)]
    print(json.dumps([f"127.0.0.1:{port}" for port in ports]), flush=True)
    await asyncio.Event().wait()


def jpeg(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="image/jpeg")


def picture(number: int) -> bytes:
    """Return a JPEG of 500 x 500 pixels, about 40 kB."""
    noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize((500, 500), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def bomb() -> bytes:
    """Return a PNG of 20,000 x 20,000 pixels in about 50 kB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + 20_000 // 8) * 20_000))
    pipeline = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(pipeline)


if __name__ == "__main__":
    main()

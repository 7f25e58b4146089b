"""Send mixed scans to `shelfsight serve`, and show how its memory grows.

    python -m benchmarks.serve_memory [--scans 50000] [--clients 8] [--views 1]

Every 1,000 requests have the same mixture: photos as files, URLs, base64; words, codes, similar
products, feedback, the page; requests that are refused, and hostile ones. No photo and no words
come twice. The memory is that of the server, and of its decoder processes, while no request is
under way. The last line compares the end with what there was after the first 1,000 requests.
Linux only.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import perf_counter

import aiohttp
from aiohttp import web
from benchmarks.mixed_requests import MIXTURE, Shop, jpeg
from benchmarks.scan_latency import CLUSTERS, embedded, fill, picture, until_ready
from tests.siege.process_memory import Memory, server_and_decoders

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.postgres.connection import Database
from shelfsight.storage import schema
from shelfsight.storage.api_keys import ApiKeys

BLOCK = 1_000

FIRST_CLIENTS = 64
"""Clients of the first requests: so many that all threads of the server use the models at once,
which takes memory for each. Otherwise a later moment would be the first at which they do."""

OWNERS = 50
PRODUCTS = 2_000
PHONE = (4_000, 3_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--scans", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--views", type=int, default=1, help="SCAN_VIEWS of the server")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home)) as database_url:
            admin, owners, ids = prepare(database_url)
            return asyncio.run(measure(database_url, admin, owners, ids, arguments))


def prepare(database_url: str) -> tuple[str, list[str], list[str]]:
    """Fill the catalogue; return the admin's key, those of the owners, and the products' ids."""
    embedder = open_pair("lite", model_dir=None)
    with closing(Database(database_url)) as database:
        schema.create(database)
        clusters = embedded(embedder, [picture(number) for number in range(CLUSTERS)])
        fill(database, embedder, clusters, PRODUCTS)
        database.run(
            lambda connection: connection.execute(
                'UPDATE "ProductVariants" SET "UserId" ='
                f""" 'owner ' || ('x' || left("Id"::text, 6))::bit(24)::int % {OWNERS}"""
            )
        )
        keys = ApiKeys(database)
        owners = [keys.create(owner=f"owner {number}", name="")[1] for number in range(OWNERS)]
        rows = database.run(
            lambda connection: connection.execute(
                'SELECT "Id"::text FROM "ProductVariants"'
            ).fetchall()
        )
        return keys.create(owner=None, name="")[1], owners, [id_ for (id_,) in rows]


async def measure(
    database_url: str,
    admin: str,
    owners: list[str],
    ids: list[str],
    arguments: argparse.Namespace,
) -> int:
    print(f"{'requests':>9} {'a second':>9} {'server PSS, USS':>18} {'decoders PSS, USS':>20} MB")
    async with photo_host() as host, aiohttp.ClientSession() as session:
        with served(database_url, host, arguments.views) as (url_, pid):
            await until_ready(session, url_)
            phone = jpeg(0, PHONE)
            shop = Shop(url_, session, admin, owners, ids, host, phone)
            answers: Counter[str] = Counter()
            first: tuple[Memory, Memory] | None = None
            last = server_and_decoders(pid)
            for start in range(0, arguments.scans, BLOCK):
                began = perf_counter()
                clients = arguments.clients if start else FIRST_CLIENTS
                answers += await send_block(shop, start, clients)
                seconds = perf_counter() - began
                await asyncio.sleep(1)
                last = server_and_decoders(pid)
                first = first or last
                figures = " ".join(f"{one.pss / 1e6:>9.1f} {one.uss / 1e6:>9.1f}" for one in last)
                print(f"{start + BLOCK:>9,} {BLOCK / seconds:>9.0f} {figures}", flush=True)
            print(await stores(shop))
    print(", ".join(f"{count} x {kind}" for kind, count in sorted(answers.items())))
    assert first is not None
    before, after = first[0] + first[1], last[0] + last[1]
    print(
        f"after {arguments.scans:,} requests against the first {BLOCK:,}:"
        f" server {last[0].pss / first[0].pss - 1:+.1%} (PSS),"
        f" {last[0].uss / first[0].uss - 1:+.1%} (USS);"
        f" with its decoders {after.pss / before.pss - 1:+.1%} (PSS),"
        f" {after.uss / before.uss - 1:+.1%} (USS)"
    )
    return 1 if any(kind.endswith((" 500", " 503")) for kind in answers) else 0


async def send_block(shop: Shop, start: int, clients: int) -> Counter[str]:
    """Send 1,000 requests in random order; return how many of each kind had which status."""
    kinds = [send for send, count in MIXTURE.items() for _ in range(count)]
    random.Random(start).shuffle(kinds)
    waiting = iter(enumerate(kinds, start))
    answers: Counter[str] = Counter()

    async def client() -> None:
        for number, send in waiting:
            answers[f"{send.__name__} {await send(shop, number)}"] += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def stores(shop: Shop) -> str:
    """Return what the server says of its stores."""
    headers = {"Authorization": f"Bearer {shop.admin}"}
    async with shop.session.get(f"{shop.url}/metrics", headers=headers) as response:
        text = await response.text()
    return "\n".join(line for line in text.splitlines() if line.startswith("shelfsight_store"))


@asynccontextmanager
async def photo_host() -> AsyncIterator[str]:
    """Serve a photo at each number; yield `host:port`."""

    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=jpeg(int(request.match_info["n"])), content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{n}.jpg", respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def served(database_url: str, host: str, views: int) -> Iterator[tuple[str, int]]:
    """Run `shelfsight serve` in its own process; yield its URL and its process id."""
    command = [sys.executable, "-m", "shelfsight", "serve", "--port=0", "--models=lite"]
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "ALLOW_PRIVATE_IMAGES": host,
        "SCAN_VIEWS": str(views),
        "RATE_LIMIT": "1000000",
        "BYTE_LIMIT": "1000000000000",
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            lines = (line for line in server.stdout or () if "serving scans at " in line)
            found = next(lines, None)
            if found is None:
                raise RuntimeError("the server did not start")
            yield found.split(" at ")[1].split(";")[0], server.pid
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())

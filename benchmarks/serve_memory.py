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
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from time import perf_counter

import aiohttp
import numpy as np
from aiohttp import web
from benchmarks.scan_latency import CLUSTERS, embedded, fill, picture, until_ready
from PIL import Image
from tests.siege import attacks, attacks_pictures
from tests.siege.process_memory import Memory, server_and_decoders

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.postgres.connection import Database
from shelfsight.storage import schema
from shelfsight.storage.api_keys import ApiKeys

SCAN = "/products/orchestrate/quick-scan"
BLOCK = 1_000

FIRST_CLIENTS = 64
"""Clients of the first requests: so many that all threads of the server use the models at once,
which takes memory for each. Otherwise a later moment would be the first at which they do."""

OWNERS = 50
PRODUCTS = 2_000
PHONE = (4_000, 3_000)

Reply = tuple[int, dict[str, object]]
Send = Callable[["Shop", int], Awaitable[int]]


@dataclass
class Shop:
    """What the requests are about: the server, its keys, the products, and the latest scan."""

    url: str
    session: aiohttp.ClientSession
    admin: str
    owners: list[str]
    ids: list[str]
    photo_host: str
    phone: bytes
    last: dict[str, object] = field(default_factory=dict)

    async def post(self, path: str, key: str | None = None, **options: object) -> int:
        """Send a request with a key; remember its response if it has matches."""
        headers = {"Authorization": f"Bearer {key or self.admin}"}
        headers.update(options.pop("headers", {}))
        async with self.session.post(self.url + path, headers=headers, **options) as response:
            body = await response.read()
            if path == SCAN and response.status == 200:
                self.last = json.loads(body)
            return response.status

    async def get(self, path: str) -> int:
        """Ask for something with the admin's key."""
        headers = {"Authorization": f"Bearer {self.admin}"}
        async with self.session.get(self.url + path, headers=headers) as response:
            await response.read()
            return response.status

    async def scan(self, number: int, **body: object) -> int:
        """Scan with the key of the admin or, every fourth time, of one of the owners."""
        key = self.admin if number % 4 else self.owners[number // 4 % len(self.owners)]
        return await self.post(SCAN, key, json={"threshold": -1, **body})


def jpeg(number: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a JPEG that no other number has."""
    patches = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def upload(shop: Shop, number: int) -> int:
    form = aiohttp.FormData({"threshold": "-1"})
    form.add_field("file", jpeg(number), filename="a.jpg")
    return await shop.post(SCAN, data=form)


async def phone_photo(shop: Shop, number: int) -> int:
    form = aiohttp.FormData({"threshold": "-1"})
    form.add_field("file", shop.phone + str(number).encode(), filename="a.jpg")
    return await shop.post(SCAN, data=form)


async def url(shop: Shop, number: int) -> int:
    return await shop.scan(number, imageUrl=f"http://{shop.photo_host}/{number}.jpg")


async def encoded(shop: Shop, number: int) -> int:
    return await shop.scan(number, imageBase64=in_base64(jpeg(number)), limit=100)


async def photos(shop: Shop, number: int) -> int:
    several = [{"base64": in_base64(jpeg(number + n * 10**8))} for n in range(1, 4)]
    return await shop.scan(number, images=several, combineImages=bool(number % 2))


async def words(shop: Shop, number: int) -> int:
    return await shop.scan(number, textQuery=f"a thing no. {number} in blue, " + "soft " * 20)


async def code(shop: Shop, number: int) -> int:
    return await shop.scan(number, textQuery=f"sku-{shop.ids[number % len(shop.ids)]}")


async def similar(shop: Shop, number: int) -> int:
    return await shop.get(f"/products/{shop.ids[number % len(shop.ids)]}/similar?limit=50")


async def feedback(shop: Shop, _number: int) -> int:
    id_ = shop.last.get("scanId", "none yet")
    return await shop.post("/products/feedback", json={"scanId": id_, "verdict": "none"})


async def page(shop: Shop, number: int) -> int:
    paths = ("/catalogue/state", "/catalogue/map", "/metrics", "/ready", "/docs")
    return await shop.get(paths[number % len(paths)])


async def refused(shop: Shop, number: int) -> int:
    bodies: Sequence[dict[str, object]] = (
        {"json": {"textQuery": "a", "nonsense": number}},
        {
            "data": b'{"textQuery": "' + b"a" * 5_000,
            "headers": {"Content-Type": "application/json"},
        },
        {"json": {"textQuery": "a", "filters": {"owner": f"someone {number}"}}, "key": "owner"},
        {"json": {"textQuery": "a"}, "key": f"shelf_{number:012x}_{'x' * 43}"},
        {"json": {"imageUrl": f"http://10.0.0.1/{number}"}},
        {"json": {"imageUrl": f"http://{shop.photo_host}/missing/{number}"}},
        {"json": {"imageUrl": f"http://no-such-host-{number}.invalid/a.jpg"}},
        {"json": {"imageBase64": in_base64(jpeg(number)[:-100] + b"broken")}},
        {"data": b"x" * 1_000, "headers": {"Content-Type": f"text/x-{number}"}},
    )
    body = dict(bodies[number % len(bodies)])
    if body.get("key") == "owner":
        body["key"] = shop.owners[number % len(shop.owners)]
    return await shop.post(SCAN, **body)


HOSTILE_BODIES = [
    *(("application/json", body) for body in attacks.hostile_bodies(500_000).values()),
    *(
        (f"multipart/form-data; boundary={attacks.BOUNDARY}", form)
        for form in attacks.hostile_forms(500_000).values()
    ),
]

HOSTILE_PICTURES = [
    attacks_pictures.jpeg_that_claims_to_be_huge(),
    attacks_pictures.tiff_of_a_huge_tile(),
    attacks_pictures.png_of_a_profile(),
    attacks_pictures.png_of_zeros(),
    attacks_pictures.avif_of_a_huge_frame(),
]


async def hostile_body(shop: Shop, number: int) -> int:
    kind, body = HOSTILE_BODIES[number % len(HOSTILE_BODIES)]
    return await shop.post(SCAN, data=body, headers={"Content-Type": kind})


async def hostile_picture(shop: Shop, number: int) -> int:
    file = HOSTILE_PICTURES[number % len(HOSTILE_PICTURES)]
    return await shop.scan(number, imageBase64=in_base64(file + str(number).encode()))


MIXTURE: dict[Send, int] = {
    upload: 260,
    phone_photo: 2,
    url: 130,
    encoded: 130,
    photos: 15,
    words: 140,
    code: 100,
    similar: 80,
    feedback: 30,
    page: 30,
    refused: 60,
    hostile_body: 18,
    hostile_picture: 5,
}
"""How many of 1,000 requests are of each kind."""


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

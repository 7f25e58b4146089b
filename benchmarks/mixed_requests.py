"""The requests of `serve_memory`: one function a kind, and how many of each there are."""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
import numpy as np
from PIL import Image
from tests.siege import attacks, attacks_pictures

SCAN = "/products/orchestrate/quick-scan"

Send = Callable[["Shop", int], Awaitable[int]]
"""Sends the request of a number, and returns its status."""


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

    async def post(
        self, path: str, key: str | None = None, kind: str | None = None, **options: Any
    ) -> int:
        """Send a request with a key; remember its response if it has matches."""
        headers = {"Authorization": f"Bearer {key or self.admin}"}
        if kind is not None:
            headers["Content-Type"] = kind
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
    bodies: Sequence[dict[str, Any]] = (
        {"json": {"textQuery": "a", "nonsense": number}},
        {
            "data": b'{"textQuery": "' + b"a" * 5_000,
            "kind": "application/json",
        },
        {"json": {"textQuery": "a", "filters": {"owner": f"someone {number}"}}, "key": "owner"},
        {"json": {"textQuery": "a"}, "key": f"shelf_{number:012x}_{'x' * 43}"},
        {"json": {"imageUrl": f"http://10.0.0.1/{number}"}},
        {"json": {"imageUrl": f"http://{shop.photo_host}/missing/{number}"}},
        {"json": {"imageUrl": f"http://no-such-host-{number}.invalid/a.jpg"}},
        {"json": {"imageBase64": in_base64(jpeg(number)[:-100] + b"broken")}},
        {"data": b"x" * 1_000, "kind": f"text/x-{number}"},
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
    return await shop.post(SCAN, data=body, kind=kind)


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

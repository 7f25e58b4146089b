"""The attacks of a siege, by name: each goes on for the seconds of its aim, and is then over."""

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, cycle
from typing import Literal

from shelfsight.embedding.openai_wire import OPENAI_PATH
from shelfsight.embedding.wire import IMAGE_PATH, TEXT_PATH
from tests.end_to_end.picture_host import draw, png
from tests.siege import attacks
from tests.siege.attacks import Ends, Target
from tests.siege.attacks_pictures import ATTACKS
from tests.siege.besieged import SILENT_NAME

Server = Literal["serve", "serve-models"]

SCAN = "/products/orchestrate/quick-scan"
FEEDBACK = "/products/feedback"
LARGEST_BODY = 31_000_000
"""Bytes of the largest bodies; the servers take up to 32 MB."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A server, the key that attackers have for it, and for how long they attack.

    Large bodies have `body_bytes`. `silent_hosts` take connections and never answer.
    """

    url: str
    key: str
    seconds: float
    body_bytes: int = LARGEST_BODY
    silent_hosts: tuple[str, ...] = ()

    def target(self, path: str, *, key: bool = True, source: str = "127.0.0.3") -> Target:
        """Return a target at this server, attacked with or without the key."""
        secret = self.key if key else ""
        return Target(url=self.url, path=path, source=source, seconds=self.seconds, key=secret)

    async def again(
        self, path: str, *, key: bool = True, source: str = "127.0.0.3"
    ) -> AsyncIterator[Target]:
        """Yield the target again and again until the seconds are over."""
        target = self.target(path, key=key, source=source)
        end = asyncio.get_running_loop().time() + self.seconds
        while (rest := end - asyncio.get_running_loop().time()) > 0:
            yield replace(target, seconds=rest)


Attack = Callable[[Aim], Awaitable[Ends]]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An attack on one of the servers."""

    name: str
    server: Server
    attack: Attack


async def idle_connections(aim: Aim) -> Ends:
    """Keep 400 connections open from 21 addresses."""
    target = aim.target(SCAN, key=False)
    few = (
        attacks.idle_connections(aim.target(SCAN, key=False, source=f"127.0.1.{last}"), 10)
        for last in range(1, 21)
    )
    return _total(await asyncio.gather(attacks.idle_connections(target, 200), *few))


async def slow_headers(aim: Aim) -> Ends:
    """Send headers by the byte."""
    return await attacks.slow_headers(aim.target(SCAN), 60)


async def header_floods(aim: Aim) -> Ends:
    """Send headers, trailers and pipelined requests without end."""
    target = aim.target(SCAN)
    floods = (
        attacks.endless_header(target, 2),
        attacks.endless_headers(target, 2),
        attacks.endless_trailers(target, 2),
        attacks.unread_responses(aim.target("/docs"), 3),
    )
    return _total(await asyncio.gather(*floods))


def announced_bodies(path: str) -> Attack:
    """Announce large bodies that never come."""

    async def attack(aim: Aim) -> Ends:
        return await attacks.announced_bodies(aim.target(path), 40, aim.body_bytes)

    return attack


def slow_bodies(path: str) -> Attack:
    """Send half of a large body, and the rest by the byte."""

    async def attack(aim: Aim) -> Ends:
        return await attacks.slow_bodies(aim.target(path), 20, aim.body_bytes)

    return attack


def bodies(
    path: str,
    sent: Callable[[int], Iterator[bytes]],
    kind: str = "application/json",
    clients: int = 3,
) -> Attack:
    """Send bodies one after another, from several clients.

    `sent` makes the bodies, and is told how many bytes large ones have.
    """

    async def attack(aim: Aim) -> Ends:
        waiting = sent(aim.body_bytes)

        async def client() -> Ends:
            ends = Ends()
            async for target in aim.again(path):
                ends += await attacks.large_bodies(target, 1, next(waiting), kind)
            return ends

        return _total(await asyncio.gather(*(client() for _ in range(clients))))

    return attack


async def dead_addresses(aim: Aim) -> Ends:
    """Scan photos at names that are never resolved, and at hosts that never answer."""
    hosts = cycle(aim.silent_hosts)

    def urls(_size: int) -> Iterator[bytes]:
        for number in count(random.randrange(10**9)):
            names = [f"http://{number}-{n}.{SILENT_NAME}/a.jpg" for n in range(5)]
            silent = [f"http://{next(hosts)}/{number}-{n}.jpg" for n in range(5)]
            yield json.dumps({"images": [{"url": url} for url in names + silent]}).encode()

    return await bodies(SCAN, urls, clients=20)(aim)


async def forwarded(aim: Aim) -> Ends:
    """Ask without a key, as if a proxy on this machine had forwarded the request."""
    return _total(
        await asyncio.gather(
            *(
                _without_key(aim, f"{header}: 203.0.113.{last}")
                for last in range(3)
                for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")
            )
        )
    )


async def _without_key(aim: Aim, header: str) -> Ends:
    ends = Ends()
    async for target in aim.again("/metrics", key=False, source="127.0.0.1"):
        head = target.head(header, "Connection: close", method="GET")

        async def send(writer: asyncio.StreamWriter, head: bytes = head) -> None:
            writer.write(head)

        ends += await attacks.many(target, 1, send)
    return ends


async def wrong_keys(aim: Aim) -> Ends:
    """Scan with keys that do not exist."""

    async def client(number: int) -> Ends:
        ends = Ends()
        async for target in aim.again(SCAN):
            wrong = replace(target, key=f"shelf_{number:04x}{len(ends):08x}_{'x' * 43}")
            ends += await attacks.large_bodies(wrong, 1, b'{"textQuery": "a"}')
        return ends

    return _total(await asyncio.gather(*(client(number) for number in range(16))))


def correct_scans(_size: int) -> Iterator[bytes]:
    """Photos that are scanned as they should be."""
    photos = [png(draw(number).resize((300, 300))) for number in range(1, 100)]
    return cycle([b'{"imageBase64": "%s"}' % b64encode(photo) for photo in photos])


def correct_texts(_size: int) -> Iterator[bytes]:
    """Batches of texts that are embedded as they should be."""
    for number in count():
        yield json.dumps({"texts": [f"a thing no. {number} {n}" for n in range(200)]}).encode()


def correct_pictures(_size: int) -> Iterator[bytes]:
    """Batches of pictures that are embedded as they should be."""
    encoded = [b'"%s"' % b64encode(png(draw(number))) for number in range(64)]
    return cycle([b'{"images": [%s]}' % b",".join(encoded[n : n + 8]) for n in range(0, 64, 8)])


@cache
def pictures() -> list[bytes]:
    """The hostile pictures, in base64."""
    return [b64encode(make()) for make in ATTACKS.values()]


def scans_of_pictures(_size: int) -> Iterator[bytes]:
    """Scans of hostile pictures."""
    return cycle([b'{"imageBase64": "%s"}' % picture for picture in pictures()])


def batches_of_pictures(_size: int) -> Iterator[bytes]:
    """The hostile pictures, for an embedding server."""
    return cycle([b'{"images": ["%s"]}' % picture for picture in pictures()])


@cache
def _large_json(size: int) -> list[bytes]:
    return list(attacks.hostile_bodies(size).values())


def large_json(size: int) -> Iterator[bytes]:
    """JSON that is costly to refuse."""
    return cycle(_large_json(size))


@cache
def _malformed_forms(size: int) -> list[bytes]:
    noise = random.Random(1).randbytes(size // 10)
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    small, large = (attacks.hostile_forms(one).values() for one in (size // 10, size))
    return [*small, *large, noise, start + noise, start, start[:30], b""]


def malformed_forms(size: int) -> Iterator[bytes]:
    """Forms that are costly to refuse, noise, and what ends too soon."""
    return cycle(_malformed_forms(size))


def feedback(size: int) -> Iterator[bytes]:
    """Feedback on no scan, and bodies that are too large for feedback."""
    return cycle([b'{"scanId": "x", "verdict": "none"}', b"{" * 9_000, _large_json(size)[0]])


FORM = f"multipart/form-data; boundary={attacks.BOUNDARY}"

SCAN_ATTACKS: dict[str, Attack] = {
    "idle connections": idle_connections,
    "slow headers": slow_headers,
    "header floods": header_floods,
    "bodies announced": announced_bodies(SCAN),
    "slow bodies": slow_bodies(SCAN),
    "endless bodies": lambda aim: attacks.endless_body(aim.target(SCAN), 3),
    "hostile JSON": bodies(SCAN, large_json),
    "malformed forms": bodies(SCAN, malformed_forms, FORM),
    "feedback bodies": bodies(FEEDBACK, feedback),
    "slow feedback": slow_bodies(FEEDBACK),
    "hostile pictures": bodies(SCAN, scans_of_pictures, clients=8),
    "dead names, silent hosts": dead_addresses,
    "forwarded, keyless": forwarded,
    "wrong keys": wrong_keys,
    "flood of correct scans": bodies(SCAN, correct_scans, clients=16),
}

MODEL_ATTACKS: dict[str, Attack] = {
    "idle connections": idle_connections,
    "slow headers": slow_headers,
    "header floods": header_floods,
    "bodies announced": announced_bodies(TEXT_PATH),
    "slow bodies": slow_bodies(IMAGE_PATH),
    "hostile JSON": bodies(TEXT_PATH, large_json),
    "hostile JSON (OpenAI)": bodies(OPENAI_PATH, large_json),
    "hostile pictures": bodies(IMAGE_PATH, batches_of_pictures, clients=8),
    "forwarded, keyless": forwarded,
    "flood of texts": bodies(TEXT_PATH, correct_texts, clients=8),
    "flood of pictures": bodies(IMAGE_PATH, correct_pictures, clients=8),
}

PLAN = [
    *(Planned(name=name, server="serve", attack=one) for name, one in SCAN_ATTACKS.items()),
    *(Planned(name=name, server="serve-models", attack=one) for name, one in MODEL_ATTACKS.items()),
]


def prepare(size: int) -> None:
    """Make the bodies that are costly to make, large ones of this size."""
    pictures()
    _large_json(size)
    _malformed_forms(size)


def _total(ends: Iterable[Ends]) -> Ends:
    return sum(ends, Ends())

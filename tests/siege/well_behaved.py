"""A caller who behaves well during a siege, and notes how it is answered."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles
from time import perf_counter
from typing import Any

import aiohttp

from shelfsight.embedding.wire import IMAGE_PATH, TEXT_PATH
from tests.end_to_end.picture_host import draw, png
from tests.siege.besieged import PRODUCTS, Besieged
from tests.siege.plan import SCAN

ADDRESS = "127.0.0.2"
PATIENCE = 30
STALL_SECONDS = 1.0
"""A caller that did not run for so long may be late itself: the servers of a siege wait 2 to 4
seconds for a request."""


@dataclass
class Felt:
    """What the caller felt: seconds of each answer, and what went wrong.

    `told` counts scans that were refused because the database was away.
    """

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    told: int = 0

    def quantile(self, percent: int) -> float:
        """Return a quantile of the seconds; 0 without answers."""
        if len(self.seconds) < 2:
            return sum(self.seconds)
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


class StallWatch:
    """Notes when this process did not get to run, as on a machine that has too much to do."""

    def __init__(self) -> None:
        self._last = 0.0

    async def watch(self) -> None:
        """Watch until this is cancelled."""
        pause = 0.1
        while True:
            before = perf_counter()
            await asyncio.sleep(pause)
            if perf_counter() - before > pause + STALL_SECONDS:
                self._last = perf_counter()

    def has_stalled_since(self, moment: float) -> bool:
        """Return whether this process was kept from running after a moment of `perf_counter`."""
        return self._last > moment


class WellBehaved:
    """Scans a product, and embeds a picture or a text, at each `interval` seconds.

    It waits for no answer before it asks again. If it was late itself and the server has closed the
    connection, it asks once more. `database_is_away` says that scans may be refused.
    """

    def __init__(
        self,
        servers: Besieged,
        session: aiohttp.ClientSession,
        stalls: StallWatch,
        interval: float,
    ) -> None:
        self._servers = servers
        self._session = session
        self._stalls = stalls
        self._interval = interval
        self._numbers = count(1)
        self.database_is_away = False

    async def during(self, siege: Awaitable[object], felt: Felt) -> None:
        """Ask until the siege is over, at least twice; note in `felt` how that went."""
        attack = asyncio.ensure_future(siege)
        asked: list[asyncio.Task[None]] = []
        while not attack.done() or len(asked) < 4:
            number = next(self._numbers)
            asked.append(asyncio.create_task(self._noted(self._scan, number, felt)))
            asked.append(asyncio.create_task(self._noted(self._embed, number, felt)))
            await asyncio.sleep(self._interval)
        await asyncio.gather(*asked)
        await attack

    async def _noted(
        self, ask: Callable[[int], Awaitable[str | None]], number: int, felt: Felt
    ) -> None:
        began = perf_counter()
        try:
            try:
                wrong = await ask(number)
            except aiohttp.ClientConnectionError:
                if not self._stalls.has_stalled_since(began):
                    raise
                wrong = await ask(number)
        except (aiohttp.ClientError, TimeoutError) as error:
            wrong = f"{type(error).__name__}: {error}"
        felt.seconds.append(perf_counter() - began)
        if wrong == "database_away" and self.database_is_away:
            felt.told += 1
        elif wrong:
            felt.failures.append(f"{ask.__name__.strip('_')} {number}: {wrong}")

    async def _scan(self, number: int) -> str | None:
        """Scan a product in one of four ways; return what is wrong with the answer."""
        product = number % PRODUCTS + 1
        photo = b64encode(png(draw(product))).decode()
        ways: list[dict[str, Any]] = [
            {"json": {"imageBase64": photo, "limit": 1}},
            {"json": {"imageUrl": self._servers.pictures.url(f"/{product}.png"), "limit": 1}},
            {"data": _form(product)},
            {"json": {"textQuery": f"sku-{product}", "limit": 1}},
        ]
        headers = {"Authorization": f"Bearer {self._servers.modest}"}
        url = self._servers.scans_url + SCAN
        async with self._session.post(url, headers=headers, **ways[number % 4]) as response:
            body = await response.text()
            if response.status == 503 and "problem:database_away" in body:
                return "database_away"
            if response.status != 200:
                return f"{response.status} {body[:300]}"
            found = [match["sku"] for match in json.loads(body)["matches"]]
            return None if found == [f"sku-{product}"] else f"found {found}, not sku-{product}"

    async def _embed(self, number: int) -> str | None:
        """Embed a picture or a text; return what is wrong with the answer."""
        picture = {"images": [b64encode(png(draw(number % PRODUCTS + 1))).decode()]}
        path, body = ((IMAGE_PATH, picture), (TEXT_PATH, {"texts": [f"mug no. {number}"]}))[
            number % 2
        ]
        async with self._session.post(self._servers.models_url + path, json=body) as response:
            answer = await response.text()
            is_good = response.status == 200 and len(json.loads(answer)["embeddings"]) == 1
            return None if is_good else f"{response.status} {answer[:300]}"

    async def until_ready(self) -> None:
        """Wait until both servers say that they can answer."""
        for url in (self._servers.scans_url, self._servers.models_url):
            await _until_ready(self._session, url)


@asynccontextmanager
async def well_behaved(servers: Besieged, interval: float) -> AsyncIterator[WellBehaved]:
    """Open the caller's connections, from an address of its own."""
    # a new connection for each request: it must be admitted, and none is closed while it is idle
    connector = aiohttp.TCPConnector(local_addr=(ADDRESS, 0), limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    stalls = StallWatch()
    watching = asyncio.create_task(stalls.watch())
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield WellBehaved(servers, session, stalls, interval)
    watching.cancel()


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.2)


def _form(product: int) -> aiohttp.FormData:
    form = aiohttp.FormData({"limit": "1"})
    form.add_field("file", png(draw(product)), filename="photo.png")
    return form

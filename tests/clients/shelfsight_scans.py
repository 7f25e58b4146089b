"""Scans with one form of the client, and prints what came, as JSON.

Arguments: sync or async, the address of a server, and a folder with 2.png, 3.png, table.png and
broken.png.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from shelfsight_client import AsyncShelfsight, Event, Matches, Shelfsight, ShelfsightError


class Awaited:
    """A synchronous client with the methods of the asynchronous one."""

    def __init__(self, shop: Shelfsight) -> None:
        self._shop = shop

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._shop, name)

        async def answer(*args: Any, **options: Any) -> Any:
            return call(*args, **options)

        return answer

    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[Event]:
        for event in self._shop.stream(*args, **options):
            yield event


def skus(found: Matches) -> list[str | None]:
    return [match["sku"] for match in found["matches"]]


async def refusals(shop: Any, folder: Path) -> list[list[object]]:
    async def drained(events: AsyncIterator[Event]) -> None:
        async for _ in events:
            pass

    failed: list[list[object]] = []
    for call in (
        lambda: shop.scan(folder / "broken.png"),
        lambda: shop.similar("a/b"),
        lambda: drained(shop.stream()),
    ):
        try:
            await call()
        except ShelfsightError as error:
            failed.append([error.status, error.kind])
    return failed


async def answers(shop: Any, folder: Path) -> dict[str, object]:
    second, third = folder / "2.png", folder / "3.png"
    one = await shop.scan(str(second), limit=1)
    several = await shop.scan([second, third], limit=1)
    together = await shop.scan([second, third], combine_images=True)
    table = folder / "table.png"
    things = [
        await shop.scan(table, box=box, limit=1, threshold=-1) for box in await shop.boxes(table)
    ]
    words = await shop.scan(text="sku-4", limit=1)
    (match,) = words["matches"]
    similar = await shop.similar(match["ProductVariantId"], limit=2)
    stored = await shop.feedback(words["scanId"], "right", match["ProductVariantId"])
    events = [event async for event in shop.stream([second, third], limit=1)]
    results: Iterable[Matches] = events[-1]["data"]["results"]
    return {
        "path": skus(one),
        "bytes": skus(await shop.scan(third.read_bytes(), limit=1)),
        "several": [skus(result) for result in several["results"]],
        "together": len(together["results"]),
        "things": [len(thing["matches"]) for thing in things],
        "text": skus(words),
        "filtered": skus(await shop.scan(second, filters={"skus": ["sku-3"]}, threshold=-1)),
        "page": one["matches"][0]["productUrl"],
        "similar": len(similar["matches"]),
        "feedback": stored["verdict"],
        "ready": (await shop.ready())["ready"],
        "events": sorted({event["event"] for event in events}),
        "streamed": [skus(result) for result in results],
        "failed": await refusals(shop, folder),
    }


async def main(form: str, url: str, folder: Path) -> dict[str, object]:
    if form == "sync":
        with Shelfsight(url) as shop:
            return await answers(Awaited(shop), folder)
    async with AsyncShelfsight(url) as shop:
        return await answers(shop, folder)


if __name__ == "__main__":
    json.dump(asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))), sys.stdout)

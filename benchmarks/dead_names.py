"""How long dead host names hold up the other pictures: DNS gives no answer for 60 names of 600.

A DNS server of this process answers the other names with the address of a picture host, and stays
silent for the dead ones. Pictures start in random order. `--threads` simulates how it was before:
names are looked up in asyncio's threads, and a dead one occupies its thread for 10 s (glibc).

    python -m benchmarks.dead_names [--pictures 600] [--dead 60] [--threads]
"""

import argparse
import asyncio
import random
import socket
import time
from collections import Counter
from functools import partial

from aiohttp import ThreadedResolver, web
from tests.integration.name_server import NameServer

from shelfsight.images import download
from shelfsight.images.download import Downloader
from shelfsight.images.names import NameResolver
from shelfsight.images.unusable import UnusablePictureError

GLIBC_SECONDS = 10


class ThreadedNames(ThreadedResolver):
    """Looks names up in the threads of the event loop, and not before they are needed."""

    async def prefetch(self, _: str) -> None:
        """Do nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--dead", type=int, default=60)
    parser.add_argument("--threads", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    names = [f"dead{n}.example" for n in range(arguments.dead)]
    names += [f"shop{n}.example" for n in range(arguments.pictures - arguments.dead)]
    random.Random(arguments.seed).shuffle(names)
    with NameServer(lambda name, _: None if is_dead(name) else ["127.0.0.1"]) as server:
        if arguments.threads:
            socket.getaddrinfo = simulated
            setattr(download, "NameResolver", ThreadedNames)  # noqa: B010 - its import there is private
        else:
            setattr(download, "NameResolver", partial(NameResolver, [server.address]))  # noqa: B010
        asyncio.run(measure(names))


def is_dead(name: str) -> bool:
    return name.startswith("dead")


def simulated(name: str, port: int, *_: object, **__: object) -> list[tuple]:
    """Replaces `socket.getaddrinfo`."""
    if is_dead(name):
        time.sleep(GLIBC_SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


async def measure(names: list[str]) -> None:
    """Download a file by each name at once, and print when those of living names were there."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(body=bytes(20_000))

    app = web.Application()
    app.router.add_get("/mug.png", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    outcomes: Counter[str] = Counter()
    last = 0.0

    async def fetch(name: str) -> None:
        nonlocal last
        try:
            async with downloader.download(f"http://{name}:{port}/mug.png"):
                outcomes["fetched"] += 1
        except UnusablePictureError as error:
            outcomes[f"{error.failure.kind}, {'dead' if is_dead(name) else 'living'}"] += 1
        if not is_dead(name):
            last = time.perf_counter() - began

    began = time.perf_counter()
    async with Downloader(frozenset(f"{name}:{port}" for name in names)) as downloader:
        await asyncio.gather(*map(fetch, names))
        total = time.perf_counter() - began
    await runner.cleanup()
    print(f"the last picture on a living name after {last:.1f} s, all after {total:.1f} s")
    print("; ".join(f"{outcome}: {count}" for outcome, count in outcomes.items()))


if __name__ == "__main__":
    main()

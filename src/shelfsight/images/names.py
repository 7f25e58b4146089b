"""Looks up host names without blocking: a name that gets no answer holds up no other name.

c-ares (aiodns) sends the DNS queries. It reads the hosts file and resolv.conf, but not
nsswitch.conf.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import aiodns
from aiohttp.abc import AbstractResolver, ResolveResult
from cachetools import TLRUCache

LOOKUP_SECONDS = 5.0
"""The longest time that a name is looked up."""

FIRST_TRY_SECONDS = 2.0
"""The time after which the first query is sent again, until c-ares knows how fast DNS answers."""

TRIES = 5
"""The number of queries to each name server; c-ares doubles the time between them. It starts with
0.25 s where DNS answers quickly, so that five tries take all of `LOOKUP_SECONDS`."""

FOUND_SECONDS = 10.0
"""For how long the addresses of a name are used."""

FAILED_SECONDS = 30.0
"""For how long a name that could not be resolved is not looked up again."""

CACHED_NAMES = 4096
"""The number of names that are remembered."""

SYSTEM_THREADS = 4
"""The number of names at a time for which the system's resolver is asked."""


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address of a host name."""

    family: int
    ip: str


_Key = tuple[str, socket.AddressFamily]
_Answer = tuple[Address, ...]
"""The addresses of a name; none if it cannot be resolved."""


class NameResolver(AbstractResolver):
    """Resolves host names, and remembers for a short time what it found, failures included.

    For use in one event loop. It asks `nameservers` (each `address:port`) if there are any, else
    those of the system.
    """

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        self._dns = aiodns.DNSResolver(
            nameservers=nameservers, timeout=FIRST_TRY_SECONDS, tries=TRIES
        )
        self._system = ThreadPoolExecutor(SYSTEM_THREADS, thread_name_prefix="names")
        self._answers: TLRUCache[_Key, _Answer] = TLRUCache(CACHED_NAMES, ttu=_expiry)
        self._lookups: dict[_Key, asyncio.Task[_Answer]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`, at least one.

        Raises:
            OSError: the name cannot be resolved, or could not be a short time ago.
        """
        addresses = await self._answer((host, family))
        if not addresses:
            raise OSError(None, "the name cannot be resolved")
        return [
            ResolveResult(
                hostname=host,
                host=address.ip,
                port=port,
                family=address.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def prefetch(self, host: str) -> None:
        """Look the name up now, so that `resolve` need not wait; a failure is remembered."""
        await self._answer((host, socket.AF_UNSPEC))

    def __len__(self) -> int:
        """Return the number of names that are remembered."""
        return len(self._answers)

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        lookups = tuple(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        self._system.shutdown(wait=False, cancel_futures=True)
        await self._dns.close()

    async def _answer(self, key: _Key) -> _Answer:
        """Return the remembered answer, or that of the one lookup of this name."""
        answer = self._answers.get(key)
        if answer is not None:
            return answer
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(key))
            lookup.add_done_callback(lambda _: self._lookups.pop(key))
        return await asyncio.shield(lookup)  # others may wait for it, too

    async def _look_up(self, key: _Key) -> _Answer:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                answer = await self._ask(*key)
        except TimeoutError:
            answer = ()
        self._answers[key] = answer
        return answer

    async def _ask(self, host: str, family: socket.AddressFamily) -> _Answer:
        try:
            found = await self._dns.getaddrinfo(host, family=family, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            if error.args[0] == aiodns.error.ARES_ETIMEOUT or not _is_local(host):
                return ()
            return await self._ask_system(host, family)
        return tuple(Address(node.family, node.addr[0].decode()) for node in found.nodes)

    async def _ask_system(self, host: str, family: socket.AddressFamily) -> _Answer:
        """Ask the system's resolver, which may know more sources than DNS and the hosts file."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._system, _system_addresses, host, family)
        except OSError:
            return ()
        return tuple(dict.fromkeys(found))


def _system_addresses(host: str, family: socket.AddressFamily) -> list[Address]:
    infos = socket.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    return [Address(info[0], str(info[4][0])) for info in infos]


def _is_local(host: str) -> bool:
    """Return whether a name may be known without DNS: it has no dot, or ends in `.local` (mDNS)."""
    name = host.lower().removesuffix(".")
    return "." not in name or name.endswith(".local")


def _expiry(_: _Key, answer: _Answer, now: float) -> float:
    return now + (FOUND_SECONDS if answer else FAILED_SECONDS)

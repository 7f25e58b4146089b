"""A cache for values that are slow to compute: values expire (TTL), and few are kept (LRU).

If several callers need the same value, it is computed only once (single-flight).
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

from cachetools import TTLCache

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MAX_KEYS = 64
"""The default number of cached values, one per owner; the least recently used is dropped."""


def _one(_value: object) -> int:
    return 1


class SingleFlightCache(Generic[Key, Value]):
    """Caches values by key for `ttl` seconds. For use from one event loop.

    The sizes of all values together are at most `limit`; a value that is larger is not cached. By
    default each has size 1.

    Callers that ask for a key while its value is being computed share the computation. The
    computation continues if one of these callers is cancelled. If it fails, the error is raised to
    all of them, and nothing is cached.
    """

    def __init__(
        self, ttl: float, limit: int = MAX_KEYS, size: Callable[[Value], int] = _one
    ) -> None:
        self.limit = limit
        self._values: TTLCache[Key, Value] = TTLCache(limit, ttl, getsizeof=size)
        self._computing: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key, compute: Callable[[], Awaitable[Value]]) -> Value:
        """Return the cached value of a key; if there is none, compute and cache the value."""
        try:
            return self._values[key]
        except KeyError:
            pass
        if key not in self._computing:
            self._computing[key] = asyncio.create_task(self._compute(key, compute))
        return await asyncio.shield(self._computing[key])

    @property
    def size(self) -> int:
        """The sizes of the cached values together."""
        return int(self._values.currsize)

    def forget(self, key: Key) -> None:
        """Remove the cached value of a key."""
        self._values.pop(key, None)

    async def _compute(self, key: Key, compute: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await compute()
            with suppress(ValueError):  # it is too large
                self._values[key] = value
            return value
        finally:
            del self._computing[key]

"""A cache of what searches need to know about the database, shared by all threads of a server."""

from collections.abc import Callable, Hashable
from threading import Condition, RLock
from time import monotonic
from typing import Any, TypeVar

from cachetools import TLRUCache, cached

TTL = 60.0
"""Seconds for which an answer is reused: that long a change in the database may go unnoticed."""

EMPTY_TTL = 1.0
"""Seconds for which an empty answer is reused. It is short, so that the first product, scan or
table is soon noticed; it is not 0, so that threads that wait for one answer all share it."""

MAX_ANSWERS = 4_096
"""Beyond this the least recently used answers are dropped. Most are means of 3 kB, so the cache
stays below about 12 MB however many owners scan."""

Answer = TypeVar("Answer")


class SearchCache:
    """A bounded LRU cache with a TTL and single-flight, for any number of threads.

    While one thread computes an answer, others that ask for the same key wait for it, and those
    that ask for other keys do not. If the computation raises, its thread gets the error and the
    next waiting thread computes.
    """

    def __init__(self, timer: Callable[[], float] = monotonic) -> None:
        self._answers: TLRUCache[Hashable, Any, float] = TLRUCache(MAX_ANSWERS, _expiry, timer)
        self._lock = RLock()
        self._get = cached(
            self._answers, key=_key, lock=self._lock, condition=Condition(self._lock)
        )(_compute)

    def get(self, key: Hashable, compute: Callable[[], Answer]) -> Answer:
        """Return the answer stored under `key`, else compute and store it."""
        answer: Answer = self._get(key, compute)
        return answer

    def put(self, key: Hashable, answer: object) -> None:
        """Store an answer that is already known."""
        with self._lock:
            self._answers[key] = answer

    def clear(self) -> None:
        """Forget all answers."""
        self._get.cache_clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._answers)


def _expiry(_key: Hashable, answer: object, now: float) -> float:
    return now + (TTL if answer else EMPTY_TTL)


def _key(key: Hashable, _compute: Callable[[], object]) -> Hashable:
    return key


def _compute(_key: Hashable, compute: Callable[[], Answer]) -> Answer:
    return compute()

"""A cache of facts about the database that searches need, shared by all threads of a server."""

from collections.abc import Callable, Hashable
from threading import Condition, RLock
from time import monotonic
from typing import Any, TypeVar

from cachetools import TLRUCache, cached

TTL = 60.0
"""Seconds for which an answer is reused. A change in the database may go unnoticed for this
time."""

EMPTY_TTL = 1.0
"""Seconds for which an empty answer is reused. The time is short, so that the first product, scan
or table is soon noticed. It is not 0, so that all threads that wait for the same answer get the
same result."""

MAX_ANSWERS = 4_096
"""The largest number of answers in the cache; beyond it the least recently used answers are
dropped. Most answers are means of 3 kB, so the cache stays below about 12 MB, however many owners
scan."""

Answer = TypeVar("Answer")


class SearchCache:
    """An LRU cache with an expiry time, for any number of threads; an answer is computed only once.

    While one thread computes an answer, the threads that ask for the same key wait for it, and
    threads that ask for other keys do not wait. If the computation raises an error, its thread gets
    the error, and the next waiting thread computes the answer.
    """

    def __init__(self, timer: Callable[[], float] = monotonic) -> None:
        self._answers: TLRUCache[Hashable, Any, float] = TLRUCache(MAX_ANSWERS, _expiry, timer)
        self._lock = RLock()
        self._get = cached(
            self._answers, key=_key, lock=self._lock, condition=Condition(self._lock)
        )(_compute)

    def get(self, key: Hashable, compute: Callable[[], Answer]) -> Answer:
        """Return the answer stored under `key`. If there is none, compute it and store it."""
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

"""Limits the number of requests and bytes that a client may send per minute."""

from math import ceil
from time import time
from typing import Literal, Protocol

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shelfsight.serving.scan_api.problems import RateLimitedError

MAX_COUNTERS = 20_000
"""The number of counters; each client has two. Clients beyond it are counted together."""

_OTHERS = "others"

Unit = Literal["requests", "bytes"]


class Counters(Protocol):
    """Counts what each client sends per minute."""

    def hit(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Count `cost`, and return 0. If that would be more than `limit`, count nothing.

        Then the result is the number of seconds after which to try again.
        """
        ...

    def test(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Return what `hit` would, and count nothing."""
        ...

    def __len__(self) -> int:
        """Return the number of counters."""
        ...


class RateCounters:
    """Implements `Counters` in this process."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)

    def hit(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Count; see `Counters.hit`."""
        item, caller = self._counter(unit, limit, caller)
        return 0 if self._limiter.hit(item, caller, cost=cost) else self._wait(item, caller)

    def test(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Look without counting; see `Counters.test`."""
        item, caller = self._counter(unit, limit, caller)
        return 0 if self._limiter.test(item, caller, cost=cost) else self._wait(item, caller)

    def __len__(self) -> int:
        """Return the number of counters."""
        return len(self._storage.storage)

    def _counter(self, unit: Unit, limit: int, caller: str) -> tuple[RateLimitItemPerMinute, str]:
        """Return a limit, and the name under which a client is counted."""
        item = RateLimitItemPerMinute(limit, namespace=unit)
        is_known = self._storage.get(item.key_for(caller)) > 0
        return item, caller if is_known or len(self) < MAX_COUNTERS else _OTHERS

    def _wait(self, item: RateLimitItemPerMinute, caller: str) -> int:
        seconds = self._limiter.get_window_stats(item, caller).reset_time - time()
        return max(1, ceil(seconds))


class RateLimiter:
    """Limits each client's requests and bytes per minute; 0 means no limit.

    The `counters` of several workers are in their parent.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._requests = requests
        self._bytes = size
        self.counters: Counters = RateCounters()

    def count_request(self, caller: str) -> None:
        """Count a request.

        Raises:
            RateLimitedError: there were too many requests; the error says when to retry.
        """
        limit = self._requests
        if limit and (wait := self.counters.hit("requests", limit, caller, 1)):
            raise RateLimitedError(f"{limit:,} requests a minute", wait)

    def check_body(self, caller: str, announced: int) -> None:
        """Refuse a body whose announced bytes would be too many; nothing is counted.

        Raises:
            RateLimitedError: there would be too many bytes; the error says when to retry.
        """
        limit = self._bytes
        if limit and (wait := self.counters.test("bytes", limit, caller, min(announced, limit))):
            raise RateLimitedError(f"{limit:,} bytes a minute", wait)

    def count_body(self, caller: str, size: int) -> None:
        """Count the bytes of a body that came; a body above the limit uses all bytes of a minute.

        Raises:
            RateLimitedError: there were too many bytes; the error says when to retry.
        """
        limit, cost = self._bytes, min(size, self._bytes)
        if cost and (wait := self.counters.hit("bytes", limit, caller, cost)):
            raise RateLimitedError(f"{limit:,} bytes a minute", wait)

    def __len__(self) -> int:
        """Return the number of counters."""
        return len(self.counters)

"""Limits the number of requests and bytes that a client may send per minute."""

from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shelfsight.serving.scan_api.problems import RateLimitedError

MAX_COUNTERS = 20_000
"""The number of counters; each client has two. Clients beyond it are counted together."""

_OTHERS = "others"


class RateLimiter:
    """Counts each client's requests and bytes per minute, in this process; 0 means no limit."""

    def __init__(self, requests: int, size: int) -> None:
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._bytes = RateLimitItemPerMinute(size, namespace="bytes")

    def count_request(self, caller: str) -> None:
        """Count a request.

        Raises:
            RateLimitedError: there were too many requests; the error says when to retry.
        """
        limit = self._requests
        caller = self._counted(limit, caller)
        if limit.amount and not self._limiter.hit(limit, caller):
            raise self._exceeded(limit, caller, "requests")

    def check_body(self, caller: str, announced: int) -> None:
        """Refuse a body whose announced bytes would be too many; nothing is counted.

        Raises:
            RateLimitedError: there would be too many bytes; the error says when to retry.
        """
        limit, cost = self._bytes, min(announced, self._bytes.amount)
        caller = self._counted(limit, caller)
        if limit.amount and not self._limiter.test(limit, caller, cost=cost):
            raise self._exceeded(limit, caller, "bytes")

    def count_body(self, caller: str, size: int) -> None:
        """Count the bytes of a body that came; a body above the limit uses all bytes of a minute.

        Raises:
            RateLimitedError: there were too many bytes; the error says when to retry.
        """
        limit, cost = self._bytes, min(size, self._bytes.amount)
        caller = self._counted(limit, caller)
        if cost and not self._limiter.hit(limit, caller, cost=cost):
            raise self._exceeded(limit, caller, "bytes")

    def __len__(self) -> int:
        """Return the number of counters."""
        return len(self._storage.storage)

    def _counted(self, limit: RateLimitItemPerMinute, caller: str) -> str:
        """Return the name under which a client is counted."""
        is_known = self._storage.get(limit.key_for(caller)) > 0
        return caller if is_known or len(self) < MAX_COUNTERS else _OTHERS

    def _exceeded(self, limit: RateLimitItemPerMinute, caller: str, unit: str) -> RateLimitedError:
        seconds = self._limiter.get_window_stats(limit, caller).reset_time - time()
        return RateLimitedError(f"{limit.amount:,} {unit} a minute", max(1, ceil(seconds)))

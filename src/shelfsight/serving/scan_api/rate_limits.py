"""Limits the number of requests and bytes that a client may send per minute."""

from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shelfsight.serving.scan_api.problems import RateLimitedError


class RateLimiter:
    """Counts each client's requests and bytes per minute, in this process; 0 means no limit."""

    def __init__(self, requests: int, size: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._bytes = RateLimitItemPerMinute(size, namespace="bytes")

    def count_request(self, caller: str) -> None:
        """Count a request.

        Raises:
            RateLimitedError: there were too many requests; the error says when to retry.
        """
        self._count(self._requests, caller, 1, "requests")

    def count_body(self, caller: str, size: int) -> None:
        """Count the bytes of a body; a body above the limit uses all bytes of a minute.

        Raises:
            RateLimitedError: there were too many bytes; the error says when to retry.
        """
        self._count(self._bytes, caller, min(size, self._bytes.amount), "bytes")

    def _count(self, limit: RateLimitItemPerMinute, caller: str, cost: int, unit: str) -> None:
        if not limit.amount:
            return
        if not self._limiter.test(limit, caller, cost=cost):
            seconds = self._limiter.get_window_stats(limit, caller).reset_time - time()
            raise RateLimitedError(f"{limit.amount:,} {unit} a minute", max(1, ceil(seconds)))
        self._limiter.hit(limit, caller, cost=cost)

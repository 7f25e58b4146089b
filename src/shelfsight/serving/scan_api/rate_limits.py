"""How much one caller may ask for in a minute."""

from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shelfsight.serving.scan_api.problems import LimitedError


class RateLimiter:
    """Counts requests and bytes of each caller in this process; 0 is no limit."""

    def __init__(self, requests: int, size: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._bytes = RateLimitItemPerMinute(size, namespace="bytes")

    def request(self, caller: str) -> None:
        """Count a request.

        Raises:
            LimitedError: there were too many; says when to come again.
        """
        self._spend(self._requests, caller, 1, "requests")

    def body(self, caller: str, size: int) -> None:
        """Count the bytes of a body; one that is larger than all of it takes all of it.

        Raises:
            LimitedError: there were too many; says when to come again.
        """
        self._spend(self._bytes, caller, min(size, self._bytes.amount), "bytes")

    def _spend(self, item: RateLimitItemPerMinute, caller: str, cost: int, what: str) -> None:
        if not item.amount:
            return
        if not self._limiter.test(item, caller, cost=cost):
            seconds = self._limiter.get_window_stats(item, caller).reset_time - time()
            raise LimitedError(f"{item.amount:,} {what} a minute", max(1, ceil(seconds)))
        self._limiter.hit(item, caller, cost=cost)

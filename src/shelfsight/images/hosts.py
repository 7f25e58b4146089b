"""Adapts to each picture host: with a concurrency limit (AIMD) and a circuit breaker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from math import inf

from cachetools import LRUCache

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure

CACHED_HOSTS = 4096
"""The number of hosts that are remembered."""

INITIAL_CONCURRENCY = 4
"""The number of requests at the same time to a host that was not asked before."""

SILENT_HOST_FAILURES = 4
"""A host that has never sent an HTTP status is paused after this many failures in a row.

It equals `INITIAL_CONCURRENCY`: if the host is down, the first requests all fail together."""

KNOWN_HOST_FAILURES = 20
"""A host that has sent an HTTP status before is paused after this many failures in a row.
The host may only be overloaded, so more failures are accepted."""

MAX_PAUSE = 600.0
"""The longest pause in seconds; the pause doubles each time that a test of the host fails."""

_NOT_OF_THE_HOST = frozenset({"forbidden_address", "tls_failed"})
"""Kinds of failures that say nothing about the load of a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """Limits on the requests to each picture host, and when to pause it; times in seconds.

    Attributes:
        concurrency: the largest number of requests at the same time to one host.
        patience: the longest pause (Retry-After) that a request waits for.
        pause: how long a failing host is paused at first; 0 means that no host is paused.
        notify: called with a line when a host is paused or answers again, in the loop's thread.
    """

    concurrency: int
    patience: float
    pause: float
    notify: Callable[[str], None]


class RetryAfterError(UnusablePictureError):
    """The server asks for a pause of `after` seconds; `failure` counts if nobody waits."""

    def __init__(self, kind: str, message: str, after: float) -> None:
        super().__init__(kind, f"{message}, and asks for a pause of {after:.0f} s", retryable=True)
        self.after = after


class Hosts:
    """The hosts that were asked most recently, by `host` or `host:port`.

    For use in one event loop.
    """

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self._known: LRUCache[str, Host] = LRUCache(CACHED_HOSTS)

    def of(self, name: str) -> "Host":
        """Return the host of this name; a new `Host` if the name is not remembered."""
        host = self._known.get(name)
        if host is None:
            host = self._known[name] = Host(name, self._policy)
        return host

    def __len__(self) -> int:
        return len(self._known)


class Host:
    """The concurrency limit and the circuit breaker of one host.

    The limit grows by one with each round of successful responses. It is halved by each round in
    which a request fails: additive increase, multiplicative decrease (Chiu and Jain, 1989). For a
    host that has never sent an HTTP status, a failure lowers the limit to one.
    """

    def __init__(self, name: str, policy: HostPolicy) -> None:
        self._name = name
        self._policy = policy
        self._limit = float(min(INITIAL_CONCURRENCY, policy.concurrency))
        self._slots = asyncio.Semaphore(int(self._limit))
        self._surplus = 0  # slots above a lowered limit, which are not released after use
        self._halved_at = -inf
        self._wait_until = -inf
        self._never_answered = True
        self._failures = 0
        self._pause = 0.0
        self._paused_until: float | None = None
        self._reason = ""
        self._probing = False

    @property
    def is_paused(self) -> bool:
        """Whether the host is paused; a request that gets a slot meanwhile tests the host."""
        return self._paused_until is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether the host is paused or has only ever failed, so that it gets less time."""
        has_failed = self._never_answered and self._failures > 0
        return self.is_paused or (has_failed and self._policy.pause > 0)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Occupy a slot within the context, after waiting for a pause that the host asked for.

        Raises:
            UnusablePictureError: `host_paused`.
        """
        self._refuse_if_paused()
        await self._slots.acquire()
        try:
            while (rest := self._wait_until - _now()) > 0:
                await asyncio.sleep(rest)
            self._refuse_if_paused()
            with self._probe() if self.is_paused else nullcontext():
                yield
        finally:
            self._release()

    @contextmanager
    def observe(self) -> Iterator[None]:
        """Adapt the limit and the breaker to the result of the request made within the context."""
        began = _now()
        try:
            yield
        except UnusablePictureError as error:
            if error.failure.retryable:
                self._failed(error.failure, began)
            elif error.failure.kind not in _NOT_OF_THE_HOST:
                self._responded()
            if isinstance(error, RetryAfterError):
                self._pause_requested(error.after)
            raise
        self._responded()

    def _responded(self) -> None:
        self._never_answered, self._failures, self._pause = False, 0, 0.0
        self._resize(self._limit + 1 / self._limit)
        if self._paused_until is not None:
            self._paused_until = None
            self._policy.notify(f"{self._name} answers again")

    def _failed(self, failure: Failure, began: float) -> None:
        self._failures += 1
        self._never_answered = self._never_answered and not failure.kind.startswith("http_")
        if began >= self._halved_at:  # earlier requests belong to the round already counted
            self._halved_at = _now()
            self._resize(1 if self._never_answered else self._limit / 2)
        enough = SILENT_HOST_FAILURES if self._never_answered else KNOWN_HOST_FAILURES
        if self._failures >= enough and began >= (self._paused_until or -inf):
            self._pause = min(max(2 * self._pause, self._policy.pause), MAX_PAUSE)
            last = f"the last: {failure.message}"
            self._pause_for(self._pause, f"after {self._failures} failures in a row ({last})")

    def _pause_requested(self, seconds: float) -> None:
        if seconds > self._policy.patience:
            self._pause_for(seconds, f"since it asks for {seconds:.0f} s")
        else:
            self._wait_until = max(self._wait_until, _now() + seconds)

    def _pause_for(self, seconds: float, why: str) -> None:
        """Refuse requests for this many seconds; after that, let one request test the host."""
        if not self._policy.pause:
            return
        is_news = not self.is_paused
        self._paused_until, self._reason = _now() + seconds, why
        if is_news:
            self._policy.notify(f"{self._name} is paused {why}; its pictures are tried again later")

    def _refuse_if_paused(self) -> None:
        if self._paused_until is not None and (self._probing or _now() < self._paused_until):
            raise UnusablePictureError(
                "host_paused", f"{self._name} is paused {self._reason}", retryable=True
            )

    @contextmanager
    def _probe(self) -> Iterator[None]:
        self._probing = True
        try:
            yield
        finally:
            self._probing = False

    def _resize(self, limit: float) -> None:
        limit = max(1.0, min(limit, float(self._policy.concurrency)))
        more = int(limit) - int(self._limit)
        self._limit = limit
        self._surplus += max(-more, 0)
        for _ in range(more):
            self._release()

    def _release(self) -> None:
        if self._surplus:
            self._surplus -= 1
        else:
            self._slots.release()


def _now() -> float:
    return asyncio.get_running_loop().time()

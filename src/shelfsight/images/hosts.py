"""Adapts to each picture host: a concurrency limit (AIMD) and a circuit breaker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from math import inf

from cachetools import LRUCache

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure

CACHED_HOSTS = 4096
"""Hosts that are remembered: those that were asked last."""

INITIAL_CONCURRENCY = 4
"""Requests at the same time to a host of which nothing is known."""

SILENT_HOST_FAILURES = 4
"""Failures in a row after which a host is paused that has never sent an HTTP status.

It is as many as the first requests to a host, which all fail together if it is dead."""

KNOWN_HOST_FAILURES = 20
"""Failures in a row after which a host is paused that has sent a status before: it may only be
overloaded, and gets more time."""

MAX_PAUSE = 600.0
"""Seconds. The pause doubles with each failed probe, up to this."""

_NOT_OF_THE_HOST = frozenset({"forbidden_address", "tls_failed"})
"""Kinds of failures that say nothing about the load of a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """How hosts are treated; times in seconds.

    Attributes:
        concurrency: requests at the same time to one host, at most.
        patience: the longest Retry-After that is waited for.
        pause: how long a host that asks for more, or keeps failing, is left alone at first;
            0 means that no host is paused.
        notify: called with a line when a host is paused or answers again, in the loop's thread.
    """

    concurrency: int
    patience: float
    pause: float
    notify: Callable[[str], None]


class RetryAfterError(UnusablePictureError):
    """The server asks for a pause of `after` seconds; `failure` applies if nobody waits for it."""

    def __init__(self, kind: str, message: str, after: float) -> None:
        super().__init__(kind, f"{message}, and asks for a pause of {after:.0f} s", retryable=True)
        self.after = after


class Hosts:
    """The hosts that were asked last, by `host` or `host:port`; used within one event loop."""

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self._known: LRUCache[str, Host] = LRUCache(CACHED_HOSTS)

    def of(self, name: str) -> "Host":
        """Return the host of that name, a new one if it is not remembered."""
        host = self._known.get(name)
        if host is None:
            host = self._known[name] = Host(name, self._policy)
        return host


class Host:
    """The concurrency limit and the circuit breaker of one host.

    The limit grows by one with each round of responses, and is halved by each round in which a
    request fails: additive increase, multiplicative decrease (Chiu and Jain, 1989). It falls to
    one for a host that has never sent a status.
    """

    def __init__(self, name: str, policy: HostPolicy) -> None:
        self._name = name
        self._policy = policy
        self._limit = float(min(INITIAL_CONCURRENCY, policy.concurrency))
        self._slots = asyncio.Semaphore(int(self._limit))
        self._surplus = 0  # slots in use beyond a lowered limit: they are not given back
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
        """Whether the host is left alone; a request that gets a slot meanwhile is the probe."""
        return self._paused_until is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether the host is paused or has only ever failed, so that it gets less time."""
        has_failed = self._never_answered and self._failures > 0
        return self.is_paused or (has_failed and self._policy.pause > 0)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Occupy a slot within the block, after any pause that the host asked for.

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
        """Adjust limit and breaker by the outcome of one request, made within the block."""
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
        if began >= self._halved_at:  # requests that began before it belong to the same round
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
        """Refuse requests for so many seconds, then let one probe through."""
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

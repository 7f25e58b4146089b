"""What is known of each host of pictures: how much it takes at once, and whether it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from math import inf

from cachetools import LRUCache

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure

REMEMBERED = 4096
"""How many hosts are known at a time, those that were asked last."""

START = 4
"""Requests at once to a host of which nothing is known."""

STRANGER = 4
ACQUAINTANCE = 20
"""So many failures in a row pause a host that has never sent a status, or has: all of the first
requests to a dead host fail together, while one that is overloaded is given time."""

LONGEST_PAUSE = 600.0
"""Seconds; a pause doubles up to it with each probe that fails too."""

_OF_OUR_OWN = frozenset({"forbidden_address", "tls_failed"})
"""Kinds that say nothing about how a host copes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """Requests `at_once` at the most; times in seconds.

    A Retry-After up to `patience` is waited for. A host that asks for more, or always fails, is
    left alone, at first for `pause`; with 0 none is. `notify` hears, in the event loop's thread,
    which host is paused.
    """

    at_once: int
    patience: float
    pause: float
    notify: Callable[[str], None]


class LaterError(UnusablePictureError):
    """The server asks for a pause of `after` seconds; `failure` is what holds without it."""

    def __init__(self, kind: str, message: str, after: float) -> None:
        super().__init__(kind, f"{message}, and asks for a pause of {after:.0f} s", retryable=True)
        self.after = after


class Hosts:
    """The hosts that were asked last, by `host` or `host:port`; for one event loop."""

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self._known: LRUCache[str, Host] = LRUCache(REMEMBERED)

    def of(self, name: str) -> "Host":
        """The one of that name."""
        host = self._known.get(name)
        if host is None:
            host = self._known[name] = Host(name, self._policy)
        return host


class Host:
    """One host: its limit of requests at once, and when it may be asked.

    The limit grows by one with each round of answers and halves with each round in which a request
    fails: additive increase, multiplicative decrease (Chiu and Jain, 1989). Of a host that has
    never sent a status it sinks to one.
    """

    def __init__(self, name: str, policy: HostPolicy) -> None:
        self._name = name
        self._policy = policy
        self._limit = float(min(START, policy.at_once))
        self._free = asyncio.Semaphore(int(self._limit))
        self._surplus = 0  # places taken beyond a limit that has sunk: they are not given back
        self._halved_at = -inf
        self._rests_until = -inf
        self._is_stranger = True
        self._failures = 0
        self._pause = 0.0
        self._paused_until: float | None = None
        self._why = ""
        self._probing = False

    @property
    def is_paused(self) -> bool:
        """Whether it is left alone; whoever has a turn nevertheless is the probe."""
        return self._paused_until is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether it has only ever failed: it need not be given much time to do so again."""
        has_failed = self._is_stranger and self._failures > 0
        return self.is_paused or (has_failed and self._policy.pause > 0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one of its places, and until it has rested.

        Raises:
            UnusablePictureError: `host_paused`.
        """
        self._refuse_if_paused()
        await self._free.acquire()
        try:
            while (rest := self._rests_until - _now()) > 0:
                await asyncio.sleep(rest)
            self._refuse_if_paused()
            with self._probe() if self.is_paused else nullcontext():
                yield
        finally:
            self._give_back()

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Learn from one request, made within the block."""
        began = _now()
        try:
            yield
        except UnusablePictureError as error:
            if error.failure.retryable:
                self._failed(error.failure, began)
            elif error.failure.kind not in _OF_OUR_OWN:
                self._answered()
            if isinstance(error, LaterError):
                self._asks_for_pause(error.after)
            raise
        self._answered()

    def _answered(self) -> None:
        self._is_stranger, self._failures, self._pause = False, 0, 0.0
        self._resize(self._limit + 1 / self._limit)
        if self._paused_until is not None:
            self._paused_until = None
            self._policy.notify(f"{self._name} answers again")

    def _failed(self, failure: Failure, began: float) -> None:
        self._failures += 1
        self._is_stranger = self._is_stranger and not failure.kind.startswith("http_")
        if began >= self._halved_at:  # one that was begun before has been answered for
            self._halved_at = _now()
            self._resize(1 if self._is_stranger else self._limit / 2)
        enough = STRANGER if self._is_stranger else ACQUAINTANCE
        if self._failures >= enough and began >= (self._paused_until or -inf):
            self._pause = min(max(2 * self._pause, self._policy.pause), LONGEST_PAUSE)
            last = f"the last: {failure.message}"
            self._leave_alone(self._pause, f"after {self._failures} failures in a row ({last})")

    def _asks_for_pause(self, seconds: float) -> None:
        if seconds > self._policy.patience:
            self._leave_alone(seconds, f"since it asks for {seconds:.0f} s")
        else:
            self._rests_until = max(self._rests_until, _now() + seconds)

    def _leave_alone(self, seconds: float, why: str) -> None:
        """Refuse whatever is asked of it for so long, and then let one request through."""
        if not self._policy.pause:
            return
        is_news = not self.is_paused
        self._paused_until, self._why = _now() + seconds, why
        if is_news:
            self._policy.notify(f"{self._name} is paused {why}; its pictures are tried again later")

    def _refuse_if_paused(self) -> None:
        if self._paused_until is not None and (self._probing or _now() < self._paused_until):
            raise UnusablePictureError(
                "host_paused", f"{self._name} is paused {self._why}", retryable=True
            )

    @contextmanager
    def _probe(self) -> Iterator[None]:
        self._probing = True
        try:
            yield
        finally:
            self._probing = False

    def _resize(self, limit: float) -> None:
        limit = max(1.0, min(limit, float(self._policy.at_once)))
        more = int(limit) - int(self._limit)
        self._limit = limit
        self._surplus += max(-more, 0)
        for _ in range(more):
            self._give_back()

    def _give_back(self) -> None:
        if self._surplus:
            self._surplus -= 1
        else:
            self._free.release()


def _now() -> float:
    return asyncio.get_running_loop().time()

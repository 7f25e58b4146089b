"""The address of an embedding server, and how often and how long to retry."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How requests are retried; times in seconds.

    Attributes:
        connect: time to connect.
        answer: time to wait for data; longer than the 150 s after which Modal sends its 303.
        first_pause, longest_pause: pauses are random, below a limit that doubles between these two.
        quiet: a wait is reported after this time, then less and less often.
        tries_at_error: how often a request at which the server fails (500, connection lost) is sent
            before its batch is halved.
        clock: measures the patience.
        sleep: waits for a pause.
    """

    connect: float = 10
    answer: float = 160
    first_pause: float = 0.5
    longest_pause: float = 15
    quiet: float = 5
    tries_at_error: int = 4
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """How to reach a server.

    Attributes:
        url: its address.
        api_key: sent as a bearer token.
        cold_start_timeout: seconds to wait for the first response.
        down_timeout: seconds to wait for a later one.
        concurrency: requests of each kind in flight at the same time.
        waiting: called with a line, now and then, while there is no response.
        retry_policy: how requests are retried.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    cold_start_timeout: float = 300
    down_timeout: float = 600
    concurrency: int = 4
    waiting: Callable[[str], None] = lambda _: None
    retry_policy: RetryPolicy = RetryPolicy()

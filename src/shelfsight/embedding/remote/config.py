"""How an embedding server is reached, and with how much patience."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Times in seconds; `answer` is longer than the 150 s after which Modal sends its 303.

    Pauses between tries are drawn at random below a limit that doubles from `first_pause` to
    `longest_pause`; `clock` measures patience, and `sleep` makes the pauses. After `quiet` seconds
    without an answer the wait is said, then ever more rarely. A request at which the server fails
    (500, or breaks off) is sent `tries_at_error` times before it is divided.
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
    """`waiting` hears, now and then, that there was no answer for so many seconds.

    `cold_start_timeout` is the patience before the first answer and `down_timeout` the one after
    it, in seconds; `concurrency` is how many requests of each kind are under way at once.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    cold_start_timeout: float = 300
    down_timeout: float = 600
    concurrency: int = 4
    waiting: Callable[[str], None] = lambda _: None
    retry_policy: RetryPolicy = RetryPolicy()

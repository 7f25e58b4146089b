"""The address of an embedding server, and how often and how long to retry."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from shelfsight.embedding.remote.services.service import Service

Pictures = Literal["auto", "original", "model"]
"""How pictures are sent: see `ServerConfig.pictures`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How requests are retried. All times are in seconds.

    Attributes:
        connect: the time to wait for a connection.
        answer: the time to wait for data; longer than the 150 s after which Modal sends its 303.
        first_pause, longest_pause: each pause is random, up to a limit. The limit is the first of
            these values before the second attempt, then doubles until it is the second value.
        quiet: a missing response is reported after this time, and then less and less often.
        tries_at_error: how often a request is sent at which the server fails (status 500, or a lost
            connection), before the batch is halved.
        clock: the clock that measures how long there has been no response.
        sleep: the function that waits for a pause.
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
    """How to reach an embedding server.

    Attributes:
        url: the address of the server.
        api_key: the key that is sent, as a bearer token unless the service has another way.
        service: the service whose API the server has; None for shelfsight's own, or OpenAI's.
        cold_start_timeout: seconds to wait for the first response.
        down_timeout: seconds to wait for a later response.
        concurrency: how many requests for pictures, and how many for texts, are sent at a time.
        text_model: the name of the model for texts, on a server that has several.
        image_model: the name of the model for pictures, of a service that has such models. Another
            server must have this model; None for any.
        pictures: `original` sends picture files up to a size, `model` pixels as the model takes
            them. `auto` sends originals to a server that does not state its picture format.
        waiting: a function that is called now and then with a message while there is no response.
        retry_policy: how requests are retried.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    cold_start_timeout: float = 300
    down_timeout: float = 600
    concurrency: int = 4
    text_model: str | None = None
    image_model: str | None = None
    service: Service | None = None
    pictures: Pictures = "auto"
    waiting: Callable[[str], None] = lambda _: None
    retry_policy: RetryPolicy = RetryPolicy()

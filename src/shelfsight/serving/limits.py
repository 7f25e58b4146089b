"""Limits of a single request, and of all requests in progress together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of a server: counts, bytes and seconds.

    The `waiting_*` limits apply to all unanswered requests together. All other limits apply to one
    request. `tokens` counts the tokens of a request after each text was cut to the maximum of the
    model. A worker counts as stuck after `stuck_seconds` in the same batch. Limits of a single
    picture are in `images.decode`.
    """

    body_bytes: int = 32_000_000
    pictures: int = 256
    texts: int = 2048
    tokens: int = 300_000
    waiting_bytes: int = 128_000_000
    waiting_pictures: int = 1024
    waiting_texts: int = 4096
    body_seconds: float = 30
    stuck_seconds: float = 120


class FullError(Exception):
    """The capacity is in use by other requests now."""


class CapacityLimit:
    """A capacity that all requests share. For use from one thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._reserved = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Reserve a part of the capacity for the duration of the context.

        A request larger than the whole capacity is accepted only if nothing else is reserved.

        Raises:
            FullError: the free part of the capacity is too small.
        """
        if self._reserved and self._reserved + size > self._capacity:
            raise FullError
        self._reserved += size
        try:
            yield
        finally:
            self._reserved -= size

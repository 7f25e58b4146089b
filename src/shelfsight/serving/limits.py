"""How much is let in: of one request, and of all at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one request, and of all together; times in seconds.

    `tokens` are those of one request after each text was cut to what the model takes. `waiting`
    ones are of all requests that are not answered yet. A picture's own limits are in
    `images.decode`.
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
    """There is no room now."""


class CapacityLimit:
    """What all requests together may hold. To be used from one thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Take up room for a while; whoever alone is too large is let into an empty room.

        Raises:
            FullError: others take up too much.
        """
        if self._held and self._held + size > self._capacity:
            raise FullError
        self._held += size
        try:
            yield
        finally:
            self._held -= size

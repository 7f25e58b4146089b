"""A capacity that all callers share fairly: no caller can keep the others out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class FullError(Exception):
    """The capacity is in use by other requests now."""


class Reservation:
    """The part of a capacity that one request holds."""

    def __init__(
        self, capacity: "FairCapacity", caller: str, on_revoke: Callable[[], None]
    ) -> None:
        self._capacity = capacity
        self.caller = caller
        self.size = 0
        self.is_open = True
        self.on_revoke = on_revoke

    def grow(self, size: int) -> None:
        """Hold `size` more; see `FairCapacity.grow`."""
        self._capacity.grow(self, size)


class FairCapacity:
    """A capacity in bytes or items. For use from one thread.

    A caller may hold all that is free. When nothing is free, a caller who holds less than another
    takes from the one who holds most: that caller's newest request is revoked. So a caller is never
    refused while it holds less than `capacity` divided by the number of callers.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._by_caller: dict[str, list[Reservation]] = {}
        self._held: dict[str, int] = {}
        self.held = 0

    @asynccontextmanager
    async def reserve(self, caller: str, size: int = 0) -> AsyncIterator[Reservation]:
        """Hold a reservation for the duration of the context, which is cancelled if it is revoked.

        Raises:
            FullError: the caller's share is used up, or the reservation was revoked.
        """
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout(None)
        try:
            async with deadline:
                reservation = self.open(caller, lambda: deadline.reschedule(loop.time()))
                try:
                    self.grow(reservation, size)
                    yield reservation
                finally:
                    self.close(reservation)
        except TimeoutError:
            if deadline.expired():
                raise FullError from None
            raise

    def open(self, caller: str, on_revoke: Callable[[], None]) -> Reservation:
        """Return an empty reservation; `on_revoke` is called if its room is given to another."""
        reservation = Reservation(self, caller, on_revoke)
        self._by_caller.setdefault(caller, []).append(reservation)
        self._held.setdefault(caller, 0)
        return reservation

    def grow(self, reservation: Reservation, size: int) -> None:
        """Add `size` to a reservation, at the expense of callers who hold more if nothing is free.

        Raises:
            FullError: the reservation was revoked or closed, or nothing is free and no other caller
                holds more than this one would.
        """
        if not reservation.is_open:
            raise FullError
        wanted = self._held[reservation.caller] + size
        while self.held + size > self.capacity:
            victim = self._newest_of_the_largest(wanted)
            if victim is None:
                raise FullError
            self.close(victim)
            victim.on_revoke()
        self.held += size
        self._held[reservation.caller] = wanted
        reservation.size += size

    def close(self, reservation: Reservation) -> None:
        """Give back what a reservation holds; does nothing the second time."""
        if not reservation.is_open:
            return
        reservation.is_open = False
        own = self._by_caller[reservation.caller]
        own.remove(reservation)
        self.held -= reservation.size
        self._held[reservation.caller] -= reservation.size
        if not own:
            del self._by_caller[reservation.caller]
            del self._held[reservation.caller]

    def held_by(self, caller: str) -> int:
        """Return how much a caller holds."""
        return self._held.get(caller, 0)

    def _newest_of_the_largest(self, wanted: int) -> Reservation | None:
        """Return the newest request of the caller who holds most, if that is more than `wanted`."""
        largest = max(self._held, key=self._held.__getitem__)
        if self._held[largest] <= wanted:
            return None
        return next(one for one in reversed(self._by_caller[largest]) if one.size)

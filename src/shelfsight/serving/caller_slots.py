"""A number of slots that each caller has for itself."""

import asyncio
from weakref import WeakValueDictionary


class CallerSlots:
    """Gives each caller `size` slots. For use from one event loop.

    A caller's slots are forgotten once nobody uses or awaits them.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._by_caller: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, caller: str) -> asyncio.Semaphore:
        """Return the slots of a caller; a slot is occupied within `async with`."""
        slots = self._by_caller.get(caller)
        if slots is None:
            slots = self._by_caller[caller] = asyncio.Semaphore(self._size)
        return slots

    def __len__(self) -> int:
        return len(self._by_caller)

"""The single-flight cache: one computation however many wait, an expiry, and no failures."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from shelfsight.errors import DatabaseError
from shelfsight.serving.scan_api.single_flight import MAX_KEYS, SingleFlightCache


def giving(value: int) -> Callable[[], Awaitable[int]]:
    async def compute() -> int:
        return value

    return compute


async def fail() -> int:
    raise DatabaseError("away")


def test_all_who_ask_at_the_same_time_share_one_computation() -> None:
    computed = []

    async def compute() -> int:
        await asyncio.sleep(0)
        computed.append(1)
        return 7

    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(60)
        assert await asyncio.gather(*(cache.get("ann", compute) for _ in "abc")) == [7, 7, 7]
        assert await cache.get("ann", giving(8)) == 7

    asyncio.run(test())
    assert computed == [1]


def test_every_key_has_its_own_value() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str | None, int] = SingleFlightCache(60)
        assert await cache.get("ann", giving(1)) == 1
        assert await cache.get("bob", giving(2)) == 2
        assert await cache.get(None, giving(3)) == 3

    asyncio.run(test())


def test_an_expired_value_is_computed_again() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(0)
        assert [await cache.get("ann", giving(n)) for n in range(3)] == [0, 1, 2]

    asyncio.run(test())


def test_a_computation_that_outlasts_the_ttl_is_still_shared() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(0.01)
        gate = asyncio.Event()

        async def slow() -> int:
            await gate.wait()
            return 7

        first = asyncio.create_task(cache.get("ann", slow))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(cache.get("ann", giving(8)))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(first, second) == [7, 7]

    asyncio.run(test())


def test_a_forgotten_value_is_computed_again() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(60)
        await cache.get("ann", giving(1))
        cache.forget("ann")
        cache.forget("bob")
        assert await cache.get("ann", giving(2)) == 2

    asyncio.run(test())


def test_a_failure_is_raised_to_all_and_not_cached() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(60)
        failed = await asyncio.gather(
            *(cache.get("ann", fail) for _ in "ab"), return_exceptions=True
        )
        assert [type(error) for error in failed] == [DatabaseError, DatabaseError]
        with pytest.raises(DatabaseError):
            await cache.get("ann", fail)
        assert await cache.get("ann", giving(1)) == 1

    asyncio.run(test())


def test_a_caller_that_is_cancelled_does_not_cancel_the_others() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, bool] = SingleFlightCache(60)
        gate = asyncio.Event()
        cancelled = asyncio.create_task(cache.get("ann", gate.wait))
        stays = asyncio.create_task(cache.get("ann", fail))
        await asyncio.sleep(0)
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        gate.set()
        assert await stays is True

    asyncio.run(test())


def test_only_so_many_keys_are_cached() -> None:
    async def test() -> None:
        cache: SingleFlightCache[str, int] = SingleFlightCache(60)
        for number in range(MAX_KEYS + 1):
            await cache.get(str(number), giving(number))
        assert await cache.get("0", giving(-1)) == -1
        assert await cache.get(str(MAX_KEYS), giving(-1)) == MAX_KEYS

    asyncio.run(test())


def test_all_values_together_are_no_larger_than_the_limit() -> None:
    async def test() -> None:
        cache: SingleFlightCache[int, int] = SingleFlightCache(60, limit=10, size=lambda n: n)
        for number in (4, 5, 6, 3):
            assert await cache.get(number, giving(number)) == number
            assert cache.size <= 10
        assert await cache.get(99, giving(11)) == 11
        assert await cache.get(99, giving(2)) == 2  # 11 was too large to keep
        assert cache.size <= 10

    asyncio.run(test())

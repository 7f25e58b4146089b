"""Answers that are kept: asked for once, however many wait, and never a failure."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import closing
from threading import Event

import pytest

from shelfsight.errors import DatabaseError
from shelfsight.serving.scan_api.page.ttl_cache import MOST, TtlCache
from shelfsight.serving.scan_api.thread_pool import ThreadPool


def run(test: Callable[[ThreadPool], Awaitable[None]]) -> None:
    async def with_workers() -> None:
        with closing(ThreadPool(2, "test")) as workers:
            await test(workers)

    asyncio.run(with_workers())


def test_all_who_ask_at_once_get_one_answer() -> None:
    asked = []

    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[int] = TtlCache(workers, 60)
        answers = await asyncio.gather(
            *(kept.get("ann", lambda: asked.append(1) or 7) for _ in "abc")
        )
        assert answers == [7, 7, 7]
        assert await kept.get("ann", lambda: 8) == 7

    run(test)
    assert asked == [1]


def test_each_owner_has_an_own_answer() -> None:
    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[int] = TtlCache(workers, 60)
        assert await kept.get("ann", lambda: 1) == 1
        assert await kept.get("bob", lambda: 2) == 2
        assert await kept.get(None, lambda: 3) == 3

    run(test)


def test_an_old_answer_is_asked_for_anew() -> None:
    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[int] = TtlCache(workers, 0)
        assert [await kept.get("ann", lambda n=n: n) for n in range(3)] == [0, 1, 2]

    run(test)


def test_a_failure_is_not_kept() -> None:
    def fail() -> int:
        raise DatabaseError("away")

    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[int] = TtlCache(workers, 60)
        with pytest.raises(DatabaseError):
            await kept.get("ann", fail)
        assert await kept.get("ann", lambda: 1) == 1

    run(test)


def test_who_goes_away_does_not_spoil_it_for_others() -> None:
    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[bool] = TtlCache(workers, 60)
        go_on = Event()
        gone = asyncio.create_task(kept.get("ann", lambda: go_on.wait(60)))
        stays = asyncio.create_task(kept.get("ann", lambda: False))
        await asyncio.sleep(0)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        go_on.set()
        assert await stays is True

    run(test)


def test_only_so_many_owners_are_remembered() -> None:
    async def test(workers: ThreadPool) -> None:
        kept: TtlCache[int] = TtlCache(workers, 60)
        for number in range(MOST + 1):
            await kept.get(str(number), lambda number=number: number)
        assert await kept.get("0", lambda: -1) == -1
        assert await kept.get(str(MOST), lambda: -1) == MOST

    run(test)

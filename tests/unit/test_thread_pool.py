"""The thread pool of the servers: so many calls at once, and every caller in turn."""

import asyncio
import threading

import pytest

from shelfsight.serving import thread_pool
from shelfsight.serving.callers import CALLER
from shelfsight.serving.thread_pool import ThreadPool


def test_no_more_calls_run_at_once_than_there_are_workers() -> None:
    workers, gate, entered = ThreadPool(2, "test"), threading.Event(), threading.Semaphore(0)
    running: set[int] = set()
    most = 0

    def work() -> None:
        nonlocal most
        running.add(threading.get_ident())
        most = max(most, len(running))
        entered.release()
        gate.wait(10)

    async def all_of_them() -> None:
        calls = [asyncio.create_task(workers.run(work)) for _ in range(6)]
        for _ in range(2):
            await asyncio.to_thread(entered.acquire)
        gate.set()
        await asyncio.gather(*calls)

    asyncio.run(all_of_them())
    workers.close()
    assert most == 2


def test_a_callers_first_call_comes_before_the_rest_of_anothers() -> None:
    pool, gate, order = ThreadPool(1, "test"), threading.Event(), list[str]()

    async def ask(caller: str, count: int) -> list[asyncio.Task[None]]:
        CALLER.set(caller)
        calls = [asyncio.create_task(pool.run(lambda: order.append(caller))) for _ in range(count)]
        await asyncio.sleep(0)
        return calls

    async def all_of_them() -> None:
        busy = asyncio.create_task(pool.run(lambda: gate.wait(10)))
        await asyncio.sleep(0)
        calls = await ask("greedy", 50) + await ask("modest", 1) + await ask("third", 2)
        calls[10].cancel()
        gate.set()
        await asyncio.gather(busy, *calls, return_exceptions=True)

    asyncio.run(all_of_them())
    pool.close()
    assert order[:5] == ["greedy", "modest", "third", "greedy", "third"]
    assert len(order) == 52


def test_one_caller_does_not_occupy_all_threads() -> None:
    pool, gate = ThreadPool(4, "test"), threading.Event()

    async def all_of_them() -> None:
        CALLER.set("greedy")
        stuck = [asyncio.create_task(pool.run(lambda: gate.wait(10))) for _ in range(8)]
        await asyncio.sleep(0)
        CALLER.set("modest")
        assert await asyncio.wait_for(pool.run(lambda: "answered"), 5) == "answered"
        gate.set()
        await asyncio.gather(*stuck)

    asyncio.run(all_of_them())
    pool.close()


def test_calls_that_nobody_waits_for_are_left_out_when_too_many_are_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thread_pool, "MAX_SUBMITTED", 5)
    pool, gate, done = ThreadPool(1, "test"), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        gate.wait(60)
        done.release()

    for _ in range(20):
        pool.submit(work)
    assert pool.submitted == 5
    gate.set()
    assert all(done.acquire(timeout=60) for _ in range(5))
    pool._threads.shutdown(wait=True)
    assert pool.submitted == 0
    assert not done.acquire(blocking=False)

"""The thread pool of the scan server."""

import asyncio
import threading

from shelfsight.serving.scan_api.thread_pool import ThreadPool


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

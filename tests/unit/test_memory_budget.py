"""The memory of picture files that wait to be sent has a bound, and nobody waits for ever."""

import gc
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfsight.images.memory_budget import MemoryBudget

LIMIT = 100


@settings(max_examples=30)
@given(pages=st.lists(st.integers(1, 150), min_size=1, max_size=30), threads=st.integers(1, 6))
def test_all_pages_get_their_turn_and_hold_no_more_than_the_limit_or_one_page(
    pages: list[int], threads: int
) -> None:
    budget, lock, held, most = MemoryBudget(LIMIT), Lock(), [], 0

    def work(size: int) -> None:
        nonlocal most
        budget.reserve(size)
        with lock:
            held.append(size)
            most = max(most, sum(held) if len(held) > 1 else 0)
        budget.hold(size // 2)  # the pictures of the page, which go on
        with lock:
            held.remove(size)
        budget.release(size)
        budget.release(size // 2)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pages))
    assert most <= LIMIT


def test_what_pictures_hold_counts_until_they_are_gone() -> None:
    budget = MemoryBudget(LIMIT)
    budget.reserve(60)
    budget.hold(50)
    budget.release(60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.reserve, 60)
        assert not waiting.done()
        budget.release(50)
        waiting.result(timeout=30)


class Held:
    """Something that refers to itself, so that only the garbage collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_only_the_garbage_collector_frees_keeps_nobody_waiting() -> None:
    budget, held = MemoryBudget(LIMIT), Held()
    budget.reserve(LIMIT)
    weakref.finalize(held, budget.release, LIMIT)
    gc.disable()
    try:
        del held
        budget.reserve(LIMIT)
    finally:
        gc.enable()


def test_closing_ends_the_waiting() -> None:
    budget = MemoryBudget(LIMIT)
    budget.reserve(LIMIT)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(budget.reserve, 1) for _ in range(2)]
        budget.close()
        for one in waiting:
            with pytest.raises(CancelledError):
                one.result(timeout=30)

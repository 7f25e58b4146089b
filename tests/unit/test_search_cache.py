"""The cache of a search: bounded, forgetful, and filled once for all threads that ask at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from shelfsight.storage.search.search_cache import EMPTY_TTL, MAX_ANSWERS, TTL, SearchCache

THREADS = 8


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counter(answer: object) -> tuple[Callable[[], object], list[object]]:
    """A computation of this answer, and the answers that it gave so far."""
    given: list[object] = []

    def compute() -> object:
        given.append(answer)
        return answer

    return compute, given


def test_eight_threads_that_ask_at_once_make_one_computation() -> None:
    cache, barrier, given = SearchCache(), Barrier(THREADS), []

    def compute() -> list[int]:
        given.append(1)
        others_wait.wait(0.2)
        return []  # an empty answer is shared, too

    def ask(_: int) -> list[int]:
        barrier.wait()
        return cache.get("key", compute)

    others_wait = Event()
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(ask, range(THREADS)))
    assert answers == [[]] * THREADS
    assert given == [1]


def test_a_slow_computation_holds_up_no_other_key() -> None:
    cache, is_other_done = SearchCache(), Event()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(cache.get, "slow", lambda: is_other_done.wait(60))
        assert cache.get("fast", lambda: "answer") == "answer"
        is_other_done.set()
        assert slow.result()


def test_after_an_error_the_next_waiting_thread_computes() -> None:
    cache, barrier, tries = SearchCache(), Barrier(THREADS), []

    def compute() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("lost")
        return "answer"

    def ask(_: int) -> str:
        barrier.wait()
        try:
            return cache.get("key", compute)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as threads:
        answers = sorted(threads.map(ask, range(THREADS)))
    assert answers == ["answer"] * (THREADS - 1) + ["lost"]
    assert len(tries) == 2


@pytest.mark.parametrize(("answer", "seconds"), [("answer", TTL), ((), EMPTY_TTL)])
def test_an_answer_is_reused_for_its_time(answer: object, seconds: float) -> None:
    clock = Clock()
    cache = SearchCache(clock)
    compute, given = counter(answer)
    for clock.now in (0.0, seconds - 0.01):
        assert cache.get("key", compute) == answer
    assert len(given) == 1
    clock.now = seconds + 0.01
    cache.get("key", compute)
    assert len(given) == 2


def test_an_answer_that_is_put_in_replaces_the_one_before_and_clear_forgets_all() -> None:
    cache = SearchCache()
    compute, given = counter("computed")
    assert cache.get("key", compute) == "computed"
    cache.put("key", "known")
    assert cache.get("key", compute) == "known"
    cache.clear()
    assert cache.get("key", compute) == "computed"
    assert len(given) == 2


def test_the_least_recently_used_answers_go_when_there_are_too_many() -> None:
    cache = SearchCache()
    compute, given = counter("table")
    for number in range(20_000):
        cache.get("table", compute)
        cache.get(number, lambda: "answer")
    assert len(cache) == MAX_ANSWERS
    assert len(given) == 1

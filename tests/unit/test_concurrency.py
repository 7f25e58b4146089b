"""A stage does several items at a time, stays bounded, and ends when it should."""

import threading
from collections.abc import Iterator
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill import concurrency as concurrency_module
from shelfsight.backfill.concurrency import map_concurrently


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_module, "STALLED_SECONDS", 0.01)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_item_comes_through_once(items: list[int], workers: int) -> None:
    more = map_concurrently(lambda item: item + 1, items, workers=workers)
    doubled = list(map_concurrently(lambda item: item * 2, more, workers=workers))
    assert sorted(doubled) == sorted((item + 1) * 2 for item in items)


@given(st.lists(st.integers()))
def test_one_at_a_time_they_keep_their_order(items: list[int]) -> None:
    assert list(map_concurrently(lambda item: item, items, workers=1)) == items


def test_the_next_item_is_at_work_while_this_one_is() -> None:
    met = threading.Barrier(2)

    def handle(item: int) -> int:
        met.wait(10)
        return item

    assert sorted(map_concurrently(handle, [1, 2], workers=2)) == [1, 2]


def test_no_more_are_begun_than_have_a_place_until_the_caller_is_done_with_one() -> None:
    begun: list[int] = []
    asked = {number: Event() for number in range(100)}

    def upstream() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            asked[number].set()
            yield number

    items = map_concurrently(lambda item: item, upstream(), workers=3)
    next(items)
    assert asked[2].wait(10)
    assert not asked[3].wait(0.1)
    next(items)
    next(items)
    assert asked[4].wait(10)
    assert not asked[5].wait(0.1)
    assert begun == [0, 1, 2, 3, 4]
    items.close()


def test_a_bug_upstream_is_raised_after_the_items_before_it() -> None:
    def upstream() -> Iterator[int]:
        yield 1
        raise KeyError("a bug")

    seen = []
    with pytest.raises(KeyError, match="a bug"):
        for item in map_concurrently(lambda item: item, upstream(), workers=2):
            seen.append(item)  # noqa: PERF402
    assert seen == [1]


def test_a_bug_in_the_stage_ends_the_threads_before_it() -> None:
    before = set(threading.enumerate())

    def fail(_item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        endless = map_concurrently(lambda item: item, iter(range(10**9)), workers=2)
        list(map_concurrently(fail, endless, workers=2))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_closing_early_closes_the_generator_at_the_source() -> None:
    closed = Event()

    def upstream() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    inner = map_concurrently(lambda item: item, upstream(), workers=2)
    items = map_concurrently(lambda item: item, inner, workers=2)
    next(items)
    items.close()
    assert closed.wait(10)


def test_once_stopped_nothing_more_comes_out_and_what_was_taken_up_before_does() -> None:
    stop, taken_up = Event(), Event()
    handled: list[int] = []

    def handle(item: int) -> int:
        taken_up.set()
        stop.wait(10)
        handled.append(item)
        return item

    first = map_concurrently(lambda item: item, iter(range(10**9)), workers=2, stop=stop)
    out: list[int] = []
    stopping = threading.Thread(target=lambda: (taken_up.wait(10), stop.set()))
    stopping.start()
    out.extend(map_concurrently(handle, first, workers=2))
    stopping.join()
    assert sorted(out) == sorted(handled)
    assert 1 <= len(out) <= 3


@pytest.mark.usefixtures("impatient")
def test_while_one_is_stuck_so_many_others_come_before_it() -> None:
    begun: list[int] = []
    others_are_out = Event()

    def handle(item: int) -> int:
        begun.append(item)
        if item < 4:
            assert others_are_out.wait(10)
        return item

    items = map_concurrently(handle, iter(range(100)), workers=2, max_workers=6)
    early = [next(items) for _ in range(20)]
    assert set(early).isdisjoint(range(4))
    assert set(range(4)) <= set(begun)
    others_are_out.set()
    assert sorted([*early, *items]) == list(range(100))


@pytest.mark.usefixtures("impatient")
def test_no_more_than_the_most_are_at_work_however_many_are_stuck() -> None:
    at_work: set[int] = set()
    full, too_many, go_on = Event(), Event(), Event()

    def handle(item: int) -> int:
        at_work.add(item)
        if len(at_work) == 5:
            full.set()
        elif len(at_work) > 5:
            too_many.set()
        assert go_on.wait(30)
        return item

    items = map_concurrently(handle, iter(range(20)), workers=2, max_workers=5)
    out: list[int] = []
    consumer = threading.Thread(target=lambda: out.extend(items))
    consumer.start()
    assert full.wait(10)
    assert not too_many.wait(0.3)
    assert at_work == set(range(5))
    go_on.set()
    consumer.join(10)
    assert sorted(out) == list(range(20))


def test_places_of_those_that_were_stuck_are_not_given_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once they are through, it is as many at a time as before."""
    monkeypatch.setattr(concurrency_module, "STALLED_SECONDS", 0.01)
    busy, busiest, lock = 0, 0, threading.Lock()
    late = Event()

    def handle(item: int) -> int:
        nonlocal busy, busiest
        if item < 2:
            late.wait(10)
            return item
        with lock:
            busy += 1
            busiest = max(busiest, busy)
        Event().wait(0.002)
        with lock:
            busy -= 1
        return item

    items = map_concurrently(handle, iter(range(200)), workers=2, max_workers=4)
    for _ in range(50):
        next(items)
    late.set()
    monkeypatch.setattr(concurrency_module, "STALLED_SECONDS", 100)
    for _ in range(50):
        next(items)
    busiest = 0
    assert len(list(items)) == 100
    assert busiest <= 2


def test_a_pause_of_upstream_is_nothing_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_module, "STALLED_SECONDS", 0.1)
    too_many = Event()

    def upstream() -> Iterator[int]:
        yield 0
        Event().wait(0.5)  # many times as long as what counts as stuck
        yield from range(1, 100)

    def handle(item: int) -> int:
        if item > 3:
            too_many.set()
        return item

    items = map_concurrently(handle, upstream(), workers=2, max_workers=5)
    assert next(items) == 0
    assert next(items) in {1, 2}  # they are at work at the same time
    assert not too_many.wait(0.2)
    items.close()


@pytest.mark.usefixtures("impatient")
def test_what_is_through_does_not_wait_for_what_upstream_waits_for() -> None:
    first_is_out = Event()

    def upstream() -> Iterator[int]:
        yield 1
        assert first_is_out.wait(10)
        yield 2

    items = map_concurrently(lambda item: item, upstream(), workers=2, max_workers=4)
    assert next(items) == 1
    first_is_out.set()
    assert list(items) == [2]

"""Stages overlap, keep order, stay bounded, and end when they should."""

import threading
from collections.abc import Iterator
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.stage import stage


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_item_comes_through_once_and_in_order(items: list[int], depth: int) -> None:
    doubled = stage(lambda item: item * 2, stage(lambda item: item + 1, items), depth=depth)
    assert list(doubled) == [(item + 1) * 2 for item in items]


def test_upstream_works_on_the_next_item_while_this_one_is_handled() -> None:
    second_begun = Event()

    def upstream() -> Iterator[int]:
        yield 1
        second_begun.set()
        yield 2

    def handle(item: int) -> int:
        assert second_begun.wait(10), "the second item was not begun while the first was handled"
        return item

    assert list(stage(handle, upstream())) == [1, 2]


def test_upstream_runs_no_further_ahead_than_its_queue() -> None:
    begun: list[int] = []
    full = Event()

    def upstream() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            if number == 3:
                full.set()
            yield number

    items = stage(lambda item: item, upstream(), depth=2)
    assert next(items) == 0
    assert full.wait(10)
    assert len(begun) <= 4  # one handled, two queued, one waiting for room
    items.close()


def test_a_bug_upstream_is_raised_after_the_items_before_it() -> None:
    def upstream() -> Iterator[int]:
        yield 1
        raise KeyError("a bug")

    seen = []
    with pytest.raises(KeyError, match="a bug"):
        for item in stage(lambda item: item, upstream()):
            seen.append(item)  # noqa: PERF402
    assert seen == [1]


def test_a_bug_in_the_stage_ends_the_threads_before_it() -> None:
    before = set(threading.enumerate())

    def fail(_item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(stage(fail, stage(lambda item: item, iter(range(10**9)))))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_once_stopped_no_item_is_begun_and_what_is_done_comes_out() -> None:
    stop = Event()
    handled: list[int] = []

    def handle(item: int) -> int:
        handled.append(item)
        if item == 2:
            stop.set()
        return item

    assert list(stage(handle, iter(range(10)), stop=stop)) == [0, 1, 2]
    assert handled == [0, 1, 2]


def test_closing_early_closes_the_generator_at_the_source() -> None:
    closed = Event()

    def upstream() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    items = stage(lambda item: item, stage(lambda item: item, upstream()))
    assert next(items) == 0
    items.close()
    assert closed.wait(10)

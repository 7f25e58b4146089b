"""Stages overlap, keep order, stay bounded, and end when they should."""

import threading
from collections.abc import Iterator
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight import stage as stage_module
from shelfsight.stage import in_order, placed, stage, stage_past_stuck


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


def test_upstream_begins_nothing_for_which_there_is_no_room() -> None:
    begun: list[int] = []
    full = Event()

    def upstream() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            if number == 2:
                full.set()
            yield number

    items = stage(lambda item: item, upstream(), depth=2)
    assert next(items) == 0
    assert full.wait(10)
    assert len(begun) == 3  # one handled, two ahead
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


@given(st.lists(st.integers()), st.integers(2, 5))
def test_past_stuck_items_come_through_once_and_in_order(items: list[int], most: int) -> None:
    more = stage_past_stuck(lambda item: item + 1, items, most=most)
    doubled = stage(placed(lambda item: item * 2), more)
    assert list(in_order(doubled)) == [(item + 1) * 2 for item in items]


@given(st.permutations(range(20)))
def test_items_that_come_in_any_order_are_put_in_theirs(places: list[int]) -> None:
    assert list(in_order((place, str(place)) for place in places)) == list(map(str, range(20)))


def test_no_more_than_two_are_begun_while_none_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage_module, "STUCK", 100)
    busy, busiest, lock = 0, 0, threading.Lock()

    def handle(item: int) -> int:
        nonlocal busy, busiest
        with lock:
            busy += 1
            busiest = max(busiest, busy)
        Event().wait(0.002 if item % 2 else 0.001)
        with lock:
            busy -= 1
        return item

    assert list(stage_past_stuck(handle, range(200), most=5)) == [(n, n) for n in range(200)]
    assert busiest == 2


def test_while_one_is_stuck_so_many_others_come_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage_module, "STUCK", 0.01)
    begun: list[int] = []
    others_are_out = Event()

    def handle(item: int) -> int:
        begun.append(item)
        if item == 0:
            assert others_are_out.wait(10)
        return item

    items = stage_past_stuck(handle, iter(range(100)), most=4)
    assert {next(items)[1] for _ in range(3)} == {1, 2, 3}
    assert begun == [0, 1, 2, 3]
    others_are_out.set()
    assert sorted(item for _, item in items) == [0, *range(4, 100)]


def test_what_is_stuck_does_not_wait_for_what_upstream_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage_module, "STUCK", 0.01)
    first_is_out = Event()

    def upstream() -> Iterator[int]:
        yield 1
        assert first_is_out.wait(10)
        yield 2

    items = stage_past_stuck(lambda item: item, upstream(), most=4)
    assert next(items) == (0, 1)
    first_is_out.set()
    assert list(items) == [(1, 2)]


def test_a_pause_of_upstream_is_nothing_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "STUCK", 0.01)
    too_many = Event()

    def upstream() -> Iterator[int]:
        yield 0
        Event().wait(0.2)  # many times as long as what counts as stuck
        monkeypatch.setattr(stage_module, "STUCK", 100)
        yield from range(1, 100)

    def handle(item: int) -> int:
        if item > 3:
            too_many.set()
        return item

    items = stage_past_stuck(handle, upstream(), most=5)
    assert [next(items) for _ in range(2)] == [(0, 0), (1, 1)]
    assert not too_many.wait(0.2)
    items.close()


def test_a_bug_past_stuck_is_raised_after_the_items_before_it_and_ends_the_threads() -> None:
    before = set(threading.enumerate())
    seen: list[int] = []

    def fail(item: int) -> int:
        return item // (2 - item)

    with pytest.raises(ZeroDivisionError):
        upstream = stage(lambda n: n, iter(range(10**9)))
        seen.extend(in_order(stage_past_stuck(fail, upstream, most=3)))
    assert seen == [0, 1]
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_once_stopped_nothing_more_comes_out_past_stuck() -> None:
    stop = Event()
    items = stage_past_stuck(lambda item: item, iter(range(10**9)), most=3, stop=stop)
    assert next(items) == (0, 0)
    stop.set()
    assert list(items) == []

"""The dynamic batcher: requests share batches, errors stay with their items, workers fail."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.errors import ModelError
from shelfsight.records import Failure, Stage
from shelfsight.serving.embedding_api.dynamic_batching import (
    BatcherConfig,
    DynamicBatcher,
    Result,
    WorkerDownError,
)


class Model:
    """Embeds numbers: batches wait until `open` is set; a `bad` number makes its batch raise."""

    def __init__(self, bad: set[int] = frozenset(), error: type[BaseException] = ValueError):
        self.bad = bad
        self.error = error
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, batch: Sequence[int]) -> list[Result]:
        self.entered.set()
        self.open.wait(20)
        self.batches.append(list(batch))
        if self.bad & set(batch):
            raise self.error("bad number")
        return [np.array([number], np.float32) for number in batch]


@contextmanager
def batcher(
    model: Model, *, window: int = 8, stuck: float = 60, plan=None
) -> Iterator[DynamicBatcher[int]]:
    config = BatcherConfig(
        stage=Stage.IMAGE,
        window=window,
        plan=plan or (lambda items: [range(len(items))]),
        run=model.run,
    )
    opened = DynamicBatcher(config, stuck_seconds=stuck)
    try:
        yield opened
    finally:
        model.open.set()
        opened.close()


def numbers(results: Sequence[Result]) -> list[int | str]:
    return [r.kind if isinstance(r, Failure) else int(r[0]) for r in results]


def until(true, seconds: float = 10) -> None:
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline


def test_a_lone_item_is_not_kept_waiting_for_company() -> None:
    model = Model()
    with batcher(model) as running:
        assert numbers(running.submit([7]).result(10)) == [7]
    assert model.batches == [[7]]


def test_items_of_many_requests_run_together_while_the_model_is_busy() -> None:
    model = Model()
    model.open.clear()
    with batcher(model) as running:
        first = running.submit([0])
        model.entered.wait(10)
        others = [running.submit([n, n + 1]) for n in (1, 3, 5, 7, 9)]
        assert running.queue_length() == 10
        model.open.set()
        assert numbers(first.result(10)) == [0]
        assert [numbers(o.result(10)) for o in others] == [[n, n + 1] for n in (1, 3, 5, 7, 9)]
    assert model.batches == [[0], [1, 2, 3, 4, 5, 6, 7, 8], [9, 10]]


def test_callers_take_turns_in_the_queue() -> None:
    model = Model()
    model.open.clear()
    with batcher(model, window=4) as running:
        first = running.submit([0])
        model.entered.wait(10)
        greedy = [running.submit(list(range(n, n + 10)), "greedy") for n in (10, 20)]
        modest = running.submit([1, 2], "modest")
        model.open.set()
        assert numbers(modest.result(10)) == [1, 2]
        assert [numbers(one.result(10)) for one in greedy] == [
            list(range(10, 20)),
            list(range(20, 30)),
        ]
        assert numbers(first.result(10)) == [0]
    assert model.batches[:2] == [[0], [10, 1, 11, 2]]


def test_items_are_batched_as_planned_and_come_back_in_their_order() -> None:
    def by_size(items: Sequence[int]) -> list[list[int]]:
        places = sorted(range(len(items)), key=lambda place: items[place])
        return [places[start : start + 2] for start in range(0, len(places), 2)]

    model = Model()
    with batcher(model, plan=by_size) as running:
        assert numbers(running.submit([5, 1, 4, 2, 3]).result(10)) == [5, 1, 4, 2, 3]
    assert model.batches == [[1, 2], [3, 4], [5]]


@given(st.sets(st.integers(0, 19)), st.integers(1, 9))
def test_guilty_items_fail_alone_and_the_innocent_get_their_vectors(
    bad: set[int], window: int
) -> None:
    with batcher(Model(bad), window=window) as running, ThreadPoolExecutor(4) as clients:
        asked = [list(range(start, start + 5)) for start in range(0, 20, 5)]
        answers = clients.map(lambda items: running.submit(items).result(10), asked)
        for items, answer in zip(asked, answers, strict=True):
            assert numbers(answer) == ["model_error" if n in bad else n for n in items]
        assert running.problem() is None


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyError, RecursionError])
def test_the_worker_lives_on_after_any_exception(error: type[Exception]) -> None:
    with batcher(Model({1}, error)) as running:
        assert numbers(running.submit([1]).result(10)) == ["model_error"]
        assert numbers(running.submit([2]).result(10)) == [2]


def test_a_model_that_gives_too_few_vectors_is_not_believed() -> None:
    class Short(Model):
        def run(self, batch: Sequence[int]) -> list[Result]:
            return super().run(batch)[:-1]

    with batcher(Short()) as running:
        assert numbers(running.submit([1, 2]).result(10)) == ["model_error"] * 2


def test_a_cancelled_request_is_not_run() -> None:
    model = Model()
    model.open.clear()
    with batcher(model) as running:
        first = running.submit([0])
        model.entered.wait(10)
        cancelled, kept = running.submit([1]), running.submit([2])
        assert cancelled.cancel()
        model.open.set()
        assert numbers(first.result(10) + kept.result(10)) == [0, 2]
    assert model.batches == [[0], [2]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_worker_is_told_to_those_who_wait_and_those_who_come() -> None:
    model = Model({0}, SystemExit)
    model.open.clear()
    with batcher(model) as running:
        in_progress = running.submit([0])
        model.entered.wait(10)
        queued = running.submit([1])
        model.open.set()
        for future in (in_progress, queued):
            with pytest.raises(WorkerDownError, match="has ended"):
                future.result(10)
        until(lambda: running.problem() is not None)
        with pytest.raises(WorkerDownError, match="has ended"):
            running.submit([2])


def test_a_stuck_worker_is_told_and_is_well_again_once_it_moves() -> None:
    model = Model()
    model.open.clear()
    with batcher(model, stuck=0.05) as running:
        in_progress = running.submit([0])
        model.entered.wait(10)
        queued = running.submit([1])
        until(lambda: running.problem() is not None)
        running.fail_if_down()
        for future in (in_progress, queued):
            with pytest.raises(WorkerDownError, match="has hung in a batch"):
                future.result(10)
        model.open.set()
        until(lambda: running.problem() is None)
        assert numbers(running.submit([2]).result(10)) == [2]


def test_closing_finishes_what_is_queued() -> None:
    model = Model()
    model.open.clear()
    with batcher(model, window=2) as running:
        futures = [running.submit([n]) for n in range(7)]
        threading.Timer(0.05, model.open.set).start()
        running.close()
        assert [numbers(future.result(0)) for future in futures] == [[n] for n in range(7)]
        with pytest.raises(WorkerDownError):
            running.submit([8])


def test_how_long_the_queue_will_take_follows_the_model() -> None:
    model = Model()
    with batcher(model) as running:
        assert running.estimated_wait() == 0
        running.submit([1]).result(10)
        model.open.clear()
        model.entered.clear()
        running.submit([2])
        model.entered.wait(10)
        running.submit([3, 4])
        assert running.estimated_wait() > 0


def test_an_unusable_model_ends_its_worker_and_says_why() -> None:
    model = Model(bad={3}, error=ModelError)
    with batcher(model) as running:
        with pytest.raises(WorkerDownError, match="has ended: bad number"):
            running.submit([1, 3]).result(10)
        until(running.problem)
        assert "has ended: bad number" in str(running.problem())
        with pytest.raises(WorkerDownError, match="bad number"):
            running.submit([1])

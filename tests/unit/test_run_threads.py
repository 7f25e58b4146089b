"""The threads that run models: there are few, and all models share them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, get_ident

import pytest

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.local.run_threads import RUNS_AT_ONCE, in_this_thread, run_model


def test_many_callers_use_few_threads():
    callers = 4 * RUNS_AT_ONCE
    together = Barrier(callers)

    def call(_number: int) -> int:
        together.wait()
        return run_model(get_ident)

    with ThreadPoolExecutor(callers) as pool:
        assert len(set(pool.map(call, range(callers)))) <= RUNS_AT_ONCE


def test_a_model_waits_while_all_threads_run_others():
    embedder, free = open_pair("lite", model_dir=None), Event()
    all_busy = Barrier(RUNS_AT_ONCE + 1)

    def occupy() -> bool:
        all_busy.wait()
        return free.wait()

    with ThreadPoolExecutor(RUNS_AT_ONCE + 1) as pool:
        try:
            busy = [pool.submit(run_model, occupy) for _ in range(RUNS_AT_ONCE)]
            all_busy.wait()
            scan = pool.submit(embedder.embed_texts, ["a red mug"])
            with pytest.raises(TimeoutError):
                scan.result(0.2)
        finally:
            free.set()
        assert len(scan.result()[0]) == 1024
        assert all(one.result() for one in busy)


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        run_model(divmod, 1, 0)


def test_a_thread_that_does_nothing_else_runs_models_itself():
    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(in_this_thread(lambda: run_model(get_ident) == get_ident())).result()
    assert run_model(get_ident) != get_ident()

"""The threads that run models, shared by all models of this process."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from threading import local
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _usable_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


RUNS_AT_ONCE = _usable_cores()
"""How many runs of models there are at the same time; more would not be faster on these cores."""

_THREADS = ThreadPoolExecutor(RUNS_AT_ONCE, thread_name_prefix="model")
"""Few threads run models, whoever calls: ONNX Runtime and the allocator keep memory for each thread
that has ever done so."""


_thread = local()


def run_model(work: Callable[..., Result], *arguments: Any) -> Result:
    """Call `work` in one of the threads that run models, and return its result."""
    if getattr(_thread, "runs_models", False):
        return work(*arguments)
    return _THREADS.submit(work, *arguments).result()


def in_this_thread(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let the thread that calls `work` run models itself, from then on.

    This saves a change of threads for each run. It is for a thread that does nothing else.
    """

    @wraps(work)
    def run(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        _thread.runs_models = True
        return work(*arguments, **keywords)

    return run

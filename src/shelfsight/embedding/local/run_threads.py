"""The threads that run models, shared by all models of this process."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

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


def run_model(work: Callable[..., Result], *arguments: Any) -> Result:
    """Call `work` in one of the threads that run models, and return its result."""
    return _THREADS.submit(work, *arguments).result()

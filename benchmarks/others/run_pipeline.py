"""Run one system's pipeline; called with the Python of the system's own environment.

    PYTHON -m benchmarks.others.run_pipeline MODULE --database URL --folder FOLDER

It runs over `first_product` to warm up, then over `one_product` and `all_products`, and prints one
line of JSON. Imports and opening stores and models are not timed. What a system starts for every
pipeline is part of both times, and so not of their difference.
"""

import json
import time
from importlib import import_module
from importlib.metadata import version

from benchmarks.others import common


def main() -> None:
    arguments = common.arguments()
    system = import_module(f"benchmarks.others.{arguments.module}")
    seconds = []
    for source in common.SOURCES:
        system.prepare(source)
        start = time.perf_counter()
        system.pipeline(source)
        seconds.append(time.perf_counter() - start)
    if hasattr(system, "export"):
        system.export(common.SOURCES[-1])
    _, one, all_ = seconds
    report = {"version": version(system.PACKAGE), "one": one, "all": all_}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()

"""One system's pipeline, run by the Python of its own environment.

    PYTHON -m benchmarks.others.program MODULE --database URL --folder FOLDER

It runs over `first_product` to warm up, over `one_product` and over `all_products`, and prints one
line of JSON. Imports, stores and models opened in this process are not timed; what a system starts
anew for every pipeline is in both times, so it is not in their difference.
"""

import json
import time
from importlib import import_module
from importlib.metadata import version

from benchmarks.others import alike


def main() -> None:
    asked = alike.arguments()
    system = import_module(f"benchmarks.others.{asked.module}")
    seconds = []
    for source in alike.SOURCES:
        system.prepare(source)
        start = time.perf_counter()
        system.pipeline(source)
        seconds.append(time.perf_counter() - start)
    if hasattr(system, "export"):
        system.export(alike.SOURCES[-1])
    _, one, all_ = seconds
    told = {"version": version(system.PACKAGE), "one": one, "all": all_}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

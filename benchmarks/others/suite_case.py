"""The suite's case: the speed of shelfsight relative to each installed other system."""

from collections.abc import Iterator

from benchmarks.others.compare import OURS, cosines, run_alternately, shop
from benchmarks.others.environments import installed, pinned
from benchmarks.suite.context import BenchContext
from benchmarks.suite.figure import Figure


def others(bench: BenchContext) -> Iterator[Figure]:
    """Yield a speed ratio for each installed system; none if no system is installed."""
    interpreters = installed(pinned())
    systems = [system for system in interpreters if system != OURS]
    if not systems:
        return
    products = bench.size(300, 40)
    with shop(bench.database, bench.folder, products):
        timings = run_alternately(bench.database, bench.folder, interpreters, bench.rounds)
        cosines(bench.database, systems)
    for system in systems:
        pairs = zip(timings[system], timings[OURS], strict=True)
        yield Figure(
            name="others",
            rounds=tuple(their.seconds / our.seconds for their, our in pairs),
            aim=1,
            unit=" x",
            detail=f"as fast as {system} {timings[system][0].version}, {products} products",
        )

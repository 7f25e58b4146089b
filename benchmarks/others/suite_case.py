"""The suite's case: shelfsight's speed over that of each other system that is installed."""

from collections.abc import Iterator

from benchmarks.others.compare import OURS, cosines, in_turn, shop
from benchmarks.others.environments import installed, pinned
from benchmarks.suite.bench import Bench
from benchmarks.suite.figure import Figure


def others(bench: Bench) -> Iterator[Figure]:
    """How many times as fast shelfsight is as each; no figure where none is installed."""
    interpreters = installed(pinned())
    systems = [system for system in interpreters if system != OURS]
    if not systems:
        return
    products = bench.size(300, 40)
    with shop(bench.database, bench.folder, products):
        told = in_turn(bench.database, bench.folder, interpreters, bench.rounds)
        cosines(bench.database, systems)
    for system in systems:
        pairs = zip(told[system], told[OURS], strict=True)
        yield Figure(
            name="others",
            rounds=tuple(their.seconds / our.seconds for their, our in pairs),
            aim=1,
            unit=" x",
            detail=f"as fast as {system} {told[system][0].version}, {products} products",
        )

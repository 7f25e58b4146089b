"""What the database bounds: storing, memory at ever larger catalogues, and going on."""

from collections.abc import Iterator

from benchmarks import backfill_overhead as overhead
from benchmarks.suite.bench import Bench
from benchmarks.suite.figure import Figure
from benchmarks.suite.shop import BATCH_SIZE


def database_bound(bench: Bench) -> Iterator[Figure]:
    """An embedder that answers at once, against a binary COPY of the very rows; then 100 more."""
    sizes = (200, 1_000, 2_000) if bench.quick else (2_000, 20_000, 200_000)
    *smaller, largest = sizes
    rounds = [*smaller, *[smaller[-1]] * (bench.rounds - 1), largest]
    peaks: dict[int, int] = {}
    ratios: dict[int, list[float]] = {size: [] for size in sizes}
    for size in rounds:
        bench.database.run(lambda c, size=size: overhead.fill(c, size))
        seconds, peaks[size] = overhead.measured(bench.database.url, BATCH_SIZE)
        ratios[size].append(overhead.copy_seconds(bench.database) / seconds)
    for size in sizes[1:]:
        yield Figure(
            name="database-bound",
            rounds=tuple(ratios[size]),
            aim=0.6,
            detail=f"rows/s of a bare binary COPY of the same {size} rows, three vectors each",
        )
    for size in sizes[1:]:
        yield Figure(
            name="memory",
            rounds=(peaks[size] / peaks[sizes[0]],),
            aim=1.1,
            limit="most",
            detail=f"peak at {size} products ({peaks[size] / 1e6:.0f} MB), of that at {sizes[0]}",
        )
    yield _resumed(bench, largest)


def _resumed(bench: Bench, products: int) -> Figure:
    seconds = []
    for _ in range(bench.rounds):
        bench.database.run(
            lambda c: c.execute(
                'DELETE FROM "ProductEmbeddings" WHERE "ProductVariantId" IN'
                ' (SELECT "Id" FROM "ProductVariants" ORDER BY random() LIMIT 100)'
            )
        )
        seconds.append(overhead.measured(bench.database.url, BATCH_SIZE)[0])
    return Figure(
        name="resume",
        rounds=tuple(seconds),
        aim=5,
        limit="most",
        unit=" s",
        detail=f"a run over {products} products of which 100, here and there, are due",
    )

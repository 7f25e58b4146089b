"""Cases bound by the database: storing, memory at growing catalogue sizes, and resuming."""

from collections.abc import Iterator

from benchmarks import backfill_overhead as overhead
from benchmarks.suite.context import BenchContext
from benchmarks.suite.figure import Figure
from benchmarks.suite.harness import BATCH_SIZE, empty
from psycopg import sql

from shelfsight.postgres.connection import Connection
from shelfsight.postgres.statements import trusted
from shelfsight.storage import embeddings_table


def database_bound(bench: BenchContext) -> Iterator[Figure]:
    """Compare a backfill with instant models to a binary COPY of the same rows.

    Then measure resuming with 100 products due, and storing in half-precision columns.
    """
    sizes = (200, 1_000, 2_000) if bench.quick else (2_000, 20_000, 200_000)
    *smaller, largest = sizes
    rounds = [*smaller, *[smaller[-1]] * (bench.rounds - 1), largest]
    peaks: dict[int, int] = {}
    ratios: dict[int, list[float]] = {size: [] for size in sizes}
    seconds: dict[int, float] = {}
    for size in rounds:
        bench.database.run(lambda c, size=size: overhead.fill(c, size))
        seconds[size], peaks[size] = overhead.measured(bench.database.url, BATCH_SIZE)
        ratios[size].append(overhead.copy_seconds(bench.database) / seconds[size])
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
    yield _half_precision(bench, sizes[1], seconds[sizes[1]])


def _resumed(bench: BenchContext, products: int) -> Figure:
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
        detail=f"a run over {products} products of which 100, at random, are due",
    )


def _half_precision(bench: BenchContext, products: int, seconds: float) -> Figure:
    """Compare `seconds`, of storing in halfvec columns, with the vector columns of older tables."""
    bench.database.run(lambda c: _set_columns(c, "vector"))
    try:
        bench.database.run(lambda c: overhead.fill(c, products))
        full, _ = overhead.measured(bench.database.url, BATCH_SIZE)
    finally:
        bench.database.run(empty)
        bench.database.run(lambda c: _set_columns(c, "halfvec"))
    return Figure(
        name="halfvec",
        rounds=(full / seconds,),
        unit=" x",
        detail=f"as fast as storing in vector columns, {products} products",
    )


def _set_columns(connection: Connection, kind: str) -> None:
    for column, width in embeddings_table.VECTOR_COLUMNS.items():
        connection.execute(
            sql.SQL('ALTER TABLE "ProductEmbeddings" ALTER COLUMN {} TYPE {}').format(
                sql.Identifier(column), trusted(f"{kind}({width})")
            )
        )

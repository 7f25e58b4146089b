"""Compare search with plain pgvector SQL: among all products, and among those of owners."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import psycopg
from benchmarks import scan_latency
from benchmarks.suite.context import BenchContext
from benchmarks.suite.figure import Figure
from pgvector.psycopg import register_vector
from psycopg import sql

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Vector
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import status
from shelfsight.storage.index.build import BuildLogger, build
from shelfsight.storage.index.indexes import drop
from shelfsight.storage.index.recall import tune
from shelfsight.storage.search.product_search import PostgresProductSearch

TOP = 10
QUERIES = 100
OWNERS = {"0.1%": 0.001, "1%": 0.01, "20%": 0.2}
"""The owners, each with the share of the products that are theirs."""

INDEX = "shelfsight_image_hnsw"

BARE = """
    SELECT e."ProductVariantId"::text
    FROM "ProductEmbeddings" AS e
    JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"
    WHERE {owner} AND e."SourceHash" IS NOT NULL
    ORDER BY e."ImageEmbedding"::halfvec(768) <=> %(query)s::halfvec(768)
    LIMIT 10
"""
"""The query of pgvector's README: a half-precision index, and a join for the filter. The index has
only the rows with a "SourceHash"."""

EXACT = """
    SELECT e."ProductVariantId"::text
    FROM "ProductEmbeddings" AS e
    JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"
    WHERE {owner}
    ORDER BY (e."ImageEmbedding" <=> %(query)s) + 0
    LIMIT 10
"""

SIZES = (
    sql.SQL(
        "SELECT pg_relation_size('{index}'), pg_total_relation_size('\"ProductEmbeddings\"')"
        " - pg_indexes_size('\"ProductEmbeddings\"')"
    ).format(index=sql.SQL(INDEX)),
    {},
)

Search = Callable[[Vector], list[str]]


def search(bench: BenchContext) -> Iterator[Figure]:
    """Measure the median time of a search, and its recall of the ten nearest products."""
    sizes = [2_000] if bench.quick else [10_000, 100_000, *([1_000_000] if bench.large else [])]
    with closing(open_pair("lite", model_dir=None)) as embedder:
        photos = [scan_latency.picture(number) for number in range(scan_latency.CLUSTERS)]
        clusters = scan_latency.embedded(embedder, photos)
        for size in sizes:
            scan_latency.fill(bench.database, embedder, clusters, size)
            bench.database.run(_give_owners)
            bench.database.run_alone(lambda c: c.execute("VACUUM ANALYZE"), {})
            yield from _built(bench.database, size)
            for owner in (None, *OWNERS):
                yield from _compared(bench, clusters, size, owner)
            drop(bench.database)


def _built(database: Database, size: int) -> Iterator[Figure]:
    """Build the image index, and tell of its size and recall; then count, as `status` does."""
    start = time.perf_counter()
    build(database, BuildLogger(lambda _line: None), names=[INDEX])
    seconds = time.perf_counter() - start
    _, chosen = tune(database)
    ((index, table),) = database.ask(SIZES)
    yield Figure(
        name="index",
        rounds=(seconds,),
        unit=" s",
        detail=(
            f"to build the image index of {size} products: {index / 1e9:.2f} GB, the table"
            f" {table / 1e9:.2f} GB; recall of queries near them{chosen.partition(':')[2]}"
        ),
    )
    start = time.perf_counter()
    status.read(database)
    yield Figure(
        name="status",
        rounds=(time.perf_counter() - start,),
        unit=" s",
        detail=f"to count vectors and failures, {size} products",
    )


def _compared(
    bench: BenchContext, clusters: Vector, size: int, owner: str | None
) -> Iterator[Figure]:
    rng = np.random.default_rng(size)
    count = 10 if bench.quick else QUERIES
    queries = scan_latency.near(clusters[rng.integers(0, len(clusters), count)], rng)
    values = {"owner": owner}
    condition = "true" if owner is None else 'v."UserId" = %(owner)s'
    with (
        psycopg.connect(bench.database.url, autocommit=True) as bare,
        closing(Database(bench.database.url)) as database,
    ):
        register_vector(bare)
        bare.execute("SET hnsw.ef_search = 100")
        bare.execute("SET hnsw.iterative_scan = 'relaxed_order'")
        ours = PostgresProductSearch(database)

        def search_ours(query: Vector) -> list[str]:
            search_query = SearchQuery(column="image", vector=query, image=query)
            found = ours.candidates(search_query, Filters(owner=owner), 100)
            ranked = sorted(found, key=lambda product: -(product.image_score or 0))
            return [product.id for product in ranked[:TOP]]

        def search_sql(statement: str) -> Search:
            query_text = statement.format(owner=condition)
            return lambda query: [
                row[0] for row in bare.execute(query_text, {**values, "query": query}, binary=True)
            ]

        exact = [search_sql(EXACT)(query) for query in queries]
        times, found = _alternate([search_ours, search_sql(BARE)], list(queries))
    who = f"{size} products" + (f", an owner's {owner}" if owner else "")
    mine, theirs = (np.median(taken) for taken in times)
    yield Figure(
        name="search",
        rounds=(float(theirs / mine),),
        detail=(
            f"speed of bare pgvector's top 10 ({1000 * theirs:.1f} ms; ours {1000 * mine:.1f} ms"
            f" with 100 candidates scored and their products), {who}"
        ),
    )
    yield Figure(
        name="recall@10",
        rounds=(_recall(found[0], exact),),
        aim=0.99,
        detail=f"of the ten nearest, bare pgvector {_recall(found[1], exact):.3f}, {who}",
    )


def _alternate(
    searches: list[Search], queries: list[Vector]
) -> tuple[list[list[float]], list[list[list[str]]]]:
    """Time each query with each search, alternating; return seconds and results per search.

    The searches take turns in coming first, for the second finds the pages of its query in memory.
    The first ten queries are run once before, to warm up.
    """
    for query in queries[:10]:
        for run_search in searches:
            run_search(query)
    times: list[list[float]] = [[] for _ in searches]
    found: list[list[list[str]]] = [[] for _ in searches]
    for turn, query in enumerate(queries):
        in_turn = list(enumerate(searches))
        for number, run_search in in_turn if turn % 2 else reversed(in_turn):
            start = time.perf_counter()
            found[number].append(run_search(query))
            times[number].append(time.perf_counter() - start)
    return times, found


def _recall(found: list[list[str]], exact: list[list[str]]) -> float:
    same = sum(len(set(a) & set(b)) for a, b in zip(found, exact, strict=True))
    return same / sum(map(len, exact))


def _give_owners(connection: Connection) -> None:
    connection.execute('UPDATE "ProductVariants" SET "UserId" = \'another\'')
    for owner, share in OWNERS.items():
        connection.execute(
            """UPDATE "ProductVariants" SET "UserId" = %s
               WHERE "UserId" = 'another' AND random() < %s""",
            [owner, share],
        )

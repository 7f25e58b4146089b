"""What searches gain and lose by an index, measured on the vectors that are stored."""

import math
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from psycopg import sql

from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage.index.indexes import INDEX_SQL, UNLIMITED, Index, IndexState, read
from shelfsight.storage.search.search_statement import EF_SEARCH

NEIGHBOURS = 10

SAMPLE = 100
"""Stored vectors whose neighbours are looked for."""

_TIMED_ROWS = 5_000
"""Rows over which an exact search is timed."""

Sample = list[tuple[str, str]]
"""The row (its ctid) and the vector of each query, as Postgres writes them."""


def lines(database: Database) -> Iterator[str]:
    """A head, then the recall of each index of vectors that is valid and has more than 10 rows."""
    measured = [one for one in read(database) if _has_recall(one)]
    if measured:
        yield (
            f"Recall@{NEIGHBOURS} against an exact search, of {SAMPLE} stored vectors"
            f" with hnsw.ef_search {EF_SEARCH}:"
        )
    for one in measured:
        yield f"  {one.index.name}: {recall(database, one):.3f}"


def _has_recall(one: IndexState) -> bool:
    return one.state == "valid" and one.index.width is not None and one.rows > NEIGHBOURS


def recall(database: Database, one: IndexState) -> float:
    """The share of the 10 truly nearest products that an index of vectors finds, over a sample.

    A product counts as found where it is as near as the tenth of an exact search over the full
    vectors: of products with the same picture one may stand for the other. NaN without a sample.
    """
    return database.run_alone(partial(_recall, one.index), UNLIMITED)


def _recall(index: Index, connection: Connection) -> float:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        statement = INDEX_SQL["sample"].format(column=sql.Identifier(index.column))
        sample: Sample = connection.execute(statement, {"queries": SAMPLE}).fetchall()
        found = _by_index(index, sample, connection)
        exact = _within(index, sample, [max(near, default=-1.0) for near in found], connection)
    hits = 0
    for number, near in enumerate(found, start=1):
        truly = sorted(exact[number])[:NEIGHBOURS]
        hits += sum(distance <= truly[-1] for distance in near)
    return hits / (NEIGHBOURS * len(sample)) if sample else math.nan


def _by_index(index: Index, sample: Sample, connection: Connection) -> list[list[float]]:
    """The cosine distances of the neighbours that the index finds, for each query."""
    connection.execute(INDEX_SQL["as_scans_do"], {"ef_search": str(EF_SEARCH)})
    statement = INDEX_SQL["nearest_by_index"].format(
        column=sql.Identifier(index.column), width=sql.Literal(index.width)
    )
    found = []
    for place, vector in sample:
        values = {"place": place, "vector": vector, "limit": NEIGHBOURS}
        found.append([distance for (distance,) in connection.execute(statement, values)])
    return found


def _within(
    index: Index, sample: Sample, bounds: list[float], connection: Connection
) -> dict[int, list[float]]:
    """The distances of all products that are within each query's bound, by its number from 1."""
    statement = INDEX_SQL["within"].format(
        column=sql.Identifier(index.column), width=sql.Literal(index.width)
    )
    values = {
        "places": [place for place, _ in sample],
        "vectors": [vector for _, vector in sample],
        "bounds": bounds,
    }
    distances = defaultdict(list)
    for number, distance in connection.execute(statement, values):
        distances[number].append(distance)
    return distances


def exact_milliseconds(database: Database, one: IndexState) -> float | None:
    """About how long a search without this index takes in the server: timed on some rows.

    None for words, and where there are no rows.
    """
    if one.index.width is None or not one.rows:
        return None
    statement = INDEX_SQL["exact_search"].format(column=sql.Identifier(one.index.column))

    def work(connection: Connection) -> float:
        for _ in range(2):  # the first warms the cache
            ((plans,),) = connection.execute(statement, {"rows": _TIMED_ROWS}).fetchall()
        return float(plans[0]["Execution Time"])

    return database.run(work, read_only=True) * max(one.rows / _TIMED_ROWS, 1)

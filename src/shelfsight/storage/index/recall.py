"""Measures the recall of an index and the time that it saves, on a sample of stored vectors."""

import math
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from psycopg import sql

from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.session import enter_catalogue
from shelfsight.storage.index.indexes import QUERIES, UNLIMITED, IndexSpec, IndexState, read
from shelfsight.storage.search.search_statement import HNSW_EF_SEARCH

NEIGHBOURS = 10
"""How many nearest neighbours each query asks for: the k of recall@k."""

SAMPLE_SIZE = 100
"""How many stored vectors serve as queries."""

_TIMED_ROWS = 5_000
"""How many rows the timed exact search reads."""

Sample = list[tuple[str, str]]
"""The sampled queries, as Postgres writes them: the address (`ctid`) of each row, and its
vector."""


def lines(database: Database) -> Iterator[str]:
    """Yield a heading, then the recall of each valid HNSW index that covers more than 10 rows."""
    measurable = [one for one in read(database) if _has_recall(one)]
    if measurable:
        yield (
            f"Recall@{NEIGHBOURS} against an exact search, of {SAMPLE_SIZE} stored vectors"
            f" with hnsw.ef_search {HNSW_EF_SEARCH}:"
        )
    for one in measurable:
        yield f"  {one.index.name}: {recall(database, one):.3f}"


def _has_recall(state: IndexState) -> bool:
    return state.state == "valid" and state.index.width is not None and state.rows > NEIGHBOURS


def recall(database: Database, state: IndexState) -> float:
    """Return the recall@10 of an HNSW index over the sample; NaN if the sample is empty.

    The ground truth is an exact search over the full-precision vectors. A product counts as found
    if it is at least as near as the tenth product of the exact search. Products with the same
    picture are equally near, so any of them counts.
    """
    return database.run_alone(partial(_recall, state.index), UNLIMITED)


def _recall(index: IndexSpec, connection: Connection) -> float:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        enter_catalogue(connection)
        statement = QUERIES["sample"].format(column=sql.Identifier(index.column))
        sample: Sample = connection.execute(statement, {"queries": SAMPLE_SIZE}).fetchall()
        approximate = _distances_by_index(index, sample, connection)
        bounds = [max(distances, default=-1.0) for distances in approximate]
        exact = _distances_within(index, sample, bounds, connection)
    hits = 0
    for number, distances in enumerate(approximate, start=1):
        nearest = sorted(exact[number])[:NEIGHBOURS]
        hits += sum(distance <= nearest[-1] for distance in distances)
    return hits / (NEIGHBOURS * len(sample)) if sample else math.nan


def _distances_by_index(
    index: IndexSpec, sample: Sample, connection: Connection
) -> list[list[float]]:
    """Return, for each query, the cosine distances of the neighbours that the index finds."""
    connection.execute(QUERIES["search_settings"], {"ef_search": str(HNSW_EF_SEARCH)})
    statement = QUERIES["nearest_by_index"].format(
        column=sql.Identifier(index.column), width=sql.Literal(index.width)
    )
    found = []
    for ctid, vector in sample:
        values = {"ctid": ctid, "vector": vector, "limit": NEIGHBOURS}
        found.append([distance for (distance,) in connection.execute(statement, values)])
    return found


def _distances_within(
    index: IndexSpec, sample: Sample, bounds: list[float], connection: Connection
) -> dict[int, list[float]]:
    """Return the exact distances that are within each query's bound, by the number of the query.

    Queries are numbered from 1.
    """
    statement = QUERIES["distances_within"].format(
        column=sql.Identifier(index.column), width=sql.Literal(index.width)
    )
    values = {
        "ctids": [ctid for ctid, _ in sample],
        "vectors": [vector for _, vector in sample],
        "bounds": bounds,
    }
    distances = defaultdict(list)
    for number, distance in connection.execute(statement, values):
        distances[number].append(distance)
    return distances


def exact_milliseconds(database: Database, state: IndexState) -> float | None:
    """Estimate how long a search without this index takes in the server, in milliseconds.

    The search is timed on some rows, and the time is scaled up to all rows. Returns None for the
    word index, and if there are no rows.
    """
    if state.index.width is None or not state.rows:
        return None
    statement = QUERIES["exact_search"].format(column=sql.Identifier(state.index.column))

    def work(connection: Connection) -> float:
        for _ in range(2):  # the first run warms the cache
            ((plans,),) = connection.execute(statement, {"rows": _TIMED_ROWS}).fetchall()
        return float(plans[0]["Execution Time"])

    return database.run(work, read_only=True) * max(state.rows / _TIMED_ROWS, 1)

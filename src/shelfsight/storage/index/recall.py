"""Measures the recall of an index and the time that it saves, on queries near stored vectors."""

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from psycopg import sql

from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.session import beside_catalogue, enter_catalogue
from shelfsight.storage.index.indexes import QUERIES, UNLIMITED, IndexSpec, IndexState, read
from shelfsight.storage.search.search_statement import HNSW_EF_SEARCH

NEIGHBOURS = 10
"""How many nearest neighbours each query asks for: the k of recall@k."""

SAMPLE_SIZE = 200
"""How many stored vectors are made to queries."""

QUERY_NOISE = 0.3
"""The length of the random vector that is added to a stored unit vector. A photo is near its
product's vector, but not that vector, and an index finds neighbours of stored ones more easily: of
a million products, 0.998 of those of stored vectors, and 0.97 of those of photos, both with
`hnsw.ef_search` 200."""

_TIMED_ROWS = 5_000
"""How many rows the timed exact search reads."""

EF_SEARCH = (HNSW_EF_SEARCH, 200, 400, 800)
"""The values of `hnsw.ef_search` that are tried, in ascending order. The search takes longer with
each."""

WANTED_RECALL = 0.99
"""A larger `hnsw.ef_search` is chosen only if the recall is lower than this."""

Sample = list[tuple[str, str]]
"""The sampled queries, as Postgres writes them: the address (`ctid`) of each row, and its
vector."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The recall@10 of an index with one value of `hnsw.ef_search`; NaN if nothing was measured."""

    ef_search: int
    value: float

    def __str__(self) -> str:
        return f"{self.value:.3f} with hnsw.ef_search {self.ef_search}"


def tune(database: Database) -> Iterator[str]:
    """Choose `hnsw.ef_search` for each valid HNSW index that covers more than 10 rows.

    The choice is written into the comment of the index, where searches read it. Yields a heading,
    then a line for each index.
    """
    measurable = [one for one in read(database) if _has_recall(one)]
    if measurable:
        yield f"Recall@{NEIGHBOURS} against an exact search, of {SAMPLE_SIZE} queries:"
    for one in measurable:
        chosen = choose(measure(database, one))
        database.run_alone(partial(_remember, one.index, chosen), UNLIMITED)
        yield f"  {one.index.name}: {chosen}"


def _has_recall(state: IndexState) -> bool:
    return state.state == "valid" and state.index.width is not None and state.rows > NEIGHBOURS


def choose(measured: Sequence[Recall]) -> Recall:
    """Return the first that reaches `WANTED_RECALL`; or else the first of those with the best."""
    for one in measured:
        if one.value >= WANTED_RECALL:
            return one
    return max(measured, key=lambda one: one.value)


def _remember(index: IndexSpec, chosen: Recall, connection: Connection) -> None:
    statement = QUERIES["remember"].format(
        index=beside_catalogue(connection, index.name),
        comment=sql.Literal(f"shelfsight: recall@{NEIGHBOURS} {chosen}"),
    )
    connection.execute(statement)


def measure(database: Database, state: IndexState) -> list[Recall]:
    """Return the recall@10 of an HNSW index over the sample, for each value of `EF_SEARCH`.

    The ground truth is an exact search over the full-precision vectors. A product counts as found
    if it is at least as near as the tenth product of the exact search. Products with the same
    picture are equally near, so any of them counts.
    """
    return database.run_alone(partial(_measure, state.index), UNLIMITED)


def _measure(index: IndexSpec, connection: Connection) -> list[Recall]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        enter_catalogue(connection)
        statement = QUERIES["sample"].format(column=sql.Identifier(index.column))
        stored = connection.execute(statement, {"queries": SAMPLE_SIZE}).fetchall()
        sample = _as_queries(stored)
        approximate = [
            _distances_by_index(index, sample, ef_search, connection) for ef_search in EF_SEARCH
        ]
        per_query = zip(*approximate, strict=True)
        bounds = [max(itertools.chain(*found), default=-1.0) for found in per_query]
        exact = _distances_within(index, sample, bounds, connection)
    tenth = [sorted(exact[number])[:NEIGHBOURS][-1:] for number in range(1, len(sample) + 1)]
    return [
        Recall(ef_search, _share_within(tenth, found))
        for ef_search, found in zip(EF_SEARCH, approximate, strict=True)
    ]


def _as_queries(stored: Sample) -> Sample:
    """Return vectors that are as near to the stored ones as a photo's may be."""
    chance = np.random.default_rng(1)
    queries = []
    for place, text in stored:
        vector = np.array(json.loads(text), np.float32)
        noise = chance.standard_normal(len(vector), np.float32)
        noise *= QUERY_NOISE * np.linalg.norm(vector) / np.linalg.norm(noise)
        queries.append((place, json.dumps((vector + noise).tolist())))
    return queries


def _share_within(tenth: Sequence[list[float]], found: Sequence[list[float]]) -> float:
    """Return the share of true neighbours that were found; NaN if there are no queries."""
    hits = sum(
        sum(distance <= last for distance in distances for last in bound)
        for bound, distances in zip(tenth, found, strict=True)
    )
    return hits / (NEIGHBOURS * len(tenth)) if tenth else math.nan


def _distances_by_index(
    index: IndexSpec, sample: Sample, ef_search: int, connection: Connection
) -> list[list[float]]:
    """Return, for each query, the cosine distances of the neighbours that the index finds."""
    connection.execute(QUERIES["search_settings"], {"ef_search": str(ef_search)})
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

"""Databases of earlier releases: a dump for each released version of the schema.

`schema_0000.sql` is the schema before there were versions, filled with a few rows a table: vectors
in use, staged and previous ones, failures of each set, an open run with three ranges, a queue that
triggers fill. Before a release add a dump of its schema, named by its version, filled likewise:
`pg_dump --no-owner --no-privileges --column-inserts DATABASE`, without the lines that start with
`--` or a backslash.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from shelfsight.records import ModelPair

DUMPS = sorted(Path(__file__).parent.glob("schema_*.sql"))

KEY = f"shelf_0123456789ab_{'k' * 43}"
"""The secret of the key of the owner `ann`, in each dump."""

IN_USE = ModelPair(image="other-pixels@1", text="other-words@1")
"""The models of the vectors in use, in each dump."""

TABLES = (
    *("EmbeddingFailures", "BackfillRuns", "BackfillLeases", "EmbeddingQueue"),
    *("ScanMeans", "ApiKeys", "ScanFeedback"),
)

SETS = ("public", "shelfsight_next", "shelfsight_previous")
"""The schemas of the vectors in use, of the staged and of the previous ones."""

Rows = list[dict[str, Any]]


def load(url: str, dump: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump.read_text(encoding="utf-8"))


def contents(url: str) -> Mapping[str, Rows]:
    """Return all rows of our tables and the shop's, by table, wherever this release has them."""
    found: dict[str, Rows] = {}
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("SET search_path = shelfsight, public")
        for name in (*TABLES, "ProductVariants", "ProductImages"):
            found[name] = _rows(connection, f'"{name}"')
        for row in found["EmbeddingFailures"]:
            row.setdefault("VectorSet", "in_use")
        for schema in SETS:
            found[schema] = _rows(connection, f'{schema}."ProductEmbeddings"')
            if schema != "public" and _exists(connection, f'{schema}."EmbeddingFailures"'):
                failures = _rows(connection, f'{schema}."EmbeddingFailures"')
                found["EmbeddingFailures"] += [{**row, "VectorSet": schema} for row in failures]
    return {name: sorted(rows, key=str) for name, rows in found.items()}


def of_columns(rows: Mapping[str, Rows], before: Mapping[str, Rows]) -> Mapping[str, Rows]:
    """Return the rows with only those columns that the tables had before."""
    return {
        name: sorted(({key: row[key] for key in before[name][0]} for row in found), key=str)
        for name, found in rows.items()
    }


def _rows(connection: psycopg.Connection[Any], table: str) -> Rows:
    rows = connection.execute(f"SELECT to_jsonb(t) AS row FROM {table} AS t").fetchall()
    return [dict(sorted(row["row"].items())) for row in rows]


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) AS x", [table]).fetchone()["x"] is not None

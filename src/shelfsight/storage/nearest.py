"""The nearest neighbours of a vector: through an index where that pays, else one by one."""

from collections.abc import Mapping

from psycopg import sql

from shelfsight import statements
from shelfsight.database import Connection
from shelfsight.matching import Sought
from shelfsight.records import COMBINED_WIDTH, IMAGE_WIDTH, TEXT_WIDTH, Modality
from shelfsight.storage.filters import Chosen

QUERIES = statements.load("shelfsight.storage", "search.sql")

COLUMNS: Mapping[Modality, tuple[str, int]] = {
    "image": ("ImageEmbedding", IMAGE_WIDTH),
    "text": ("TextEmbedding", TEXT_WIDTH),
    "combined": ("CombinedEmbedding", COMBINED_WIDTH),
}

EF_SEARCH = 100
"""How many neighbours the graph is asked for; `index build` says what recall that gives."""

FEW = 5_000
"""So many chosen products, or fewer, are compared one by one: a graph would miss some of them."""


class Indexes:
    """Which of our indexes are valid now, and about how many rows there are.

    Sets for the transaction that they look at `EF_SEARCH` neighbours, or `limit` if that is more.
    """

    def __init__(self, connection: Connection, limit: int) -> None:
        values = {"ef_search": str(max(EF_SEARCH, limit))}
        row = connection.execute(QUERIES["indexes"], values).fetchone()
        self.rows: int
        self._names: list[str]
        _, _, self.rows, self._names = row or ("", "", 0, [])

    def has(self, what: str) -> bool:
        """Whether there is the index of a column, or of the words."""
        return f"shelfsight_{what}" in self._names


def nearest(
    connection: Connection, indexes: Indexes, sought: Sought, chosen: Chosen, limit: int
) -> list[object]:
    """The ids of the `limit` nearest in the sought column, nearest first.

    Fewer only where fewer pass the filters and have that vector: an index that gives fewer is not
    believed.
    """
    has_index = indexes.has(f"{sought.column}_hnsw")
    if has_index and not _are_few(connection, indexes, chosen):
        ids = _near(connection, "by_index", sought, chosen, limit)
        if len(ids) == limit:
            return ids
    return _near(connection, "one_by_one", sought, chosen, limit)


def _are_few(connection: Connection, indexes: Indexes, chosen: Chosen) -> bool:
    few_rows = 0 <= indexes.rows <= FEW
    if chosen.is_all or few_rows:
        return few_rows
    count = QUERIES["count_chosen"].format(join=chosen.join, chosen=chosen.chosen)
    row = connection.execute(count, {"most": FEW + 1, **chosen.values}).fetchone()
    return row is not None and row[0] <= FEW


def _near(
    connection: Connection, how: str, sought: Sought, chosen: Chosen, limit: int
) -> list[object]:
    name, width = COLUMNS[sought.column]
    column = sql.Identifier(name)
    distance = QUERIES[how].format(column=column, width=sql.Literal(width))
    statement = QUERIES["near"].format(
        column=column, distance=distance, join=chosen.join, chosen=chosen.chosen
    )
    values = {"query": sought.query, "limit": limit, **chosen.values}
    return [row[0] for row in connection.execute(statement, values, binary=True)]

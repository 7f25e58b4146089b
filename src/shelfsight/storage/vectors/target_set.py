"""The set of vectors that pages are stored in."""

from typing import NamedTuple

from psycopg import sql


class TargetSet(NamedTuple):
    """The set of vectors that a page is stored in, and the SQL type of its product ids.

    `name` is the set's name in `"EmbeddingFailures"`.
    """

    name: str
    id_type: sql.SQL

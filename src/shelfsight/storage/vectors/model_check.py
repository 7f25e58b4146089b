"""Which models made the stored vectors: those of two models cannot be compared."""

from shelfsight.errors import ModelMismatchError
from shelfsight.postgres.connection import Connection, Transactions
from shelfsight.records import ModelPair
from shelfsight.storage import schema
from shelfsight.storage.vectors.queries import QUERIES

Stored = tuple[str | None, str | None, int]
"""The image and the text model of some rows, None where they have no such vector, and how many."""


def fits(stored: Stored, models: ModelPair) -> bool:
    """Whether these models may have made those rows."""
    return stored[0] in (None, models.image) and stored[1] in (None, models.text)


def refuse_others(database: Transactions, models: ModelPair) -> int:
    """Refuse vectors that would not fit those that are stored; gives the table they fit.

    Raises:
        SchemaError: the columns are missing or of other dimensions.
        ModelMismatchError: other models made the stored vectors.
    """

    def work(connection: Connection) -> tuple[int, list[Stored]]:
        schema.check(connection)
        rows = connection.execute(QUERIES["stored_models"]).fetchall()
        return _table(connection), rows  # what was read is locked, and cannot be another by now

    which, rows = database.run(work, read_only=True)
    for image, text, count in rows:
        if fits((image, text, count), models):
            continue
        stored = " and ".join(name for name in (image, text) if name)
        raise ModelMismatchError(
            f'"ProductEmbeddings" holds {count} products embedded by {stored}, not by'
            f" {models.image} and {models.text}; use those models, or build a staged set and"
            " switch to it: shelfsight backfill --staged --all, then shelfsight models --switch"
            " (shelfsight backfill --no-skip-existing --all replaces them in place)"
        )
    return which


def checked_table(connection: Connection) -> int:
    """Which table (its OID) holds the vectors: a switch to other models puts another there.

    Raises:
        SchemaError: the columns are missing or of other dimensions.
    """
    schema.check(connection)
    return _table(connection)


def lock_table(connection: Connection, expected: int | None) -> int:
    """Begin a page: keep the table where it is until this transaction ends; gives which it is.

    Raises:
        ModelMismatchError: it is not the expected one any more.
    """
    cursor = connection.execute(QUERIES["begin_page"])
    while cursor.nextset():
        pass
    found = int(cursor.fetchall()[0][0])
    if expected not in (None, found):
        raise ModelMismatchError(
            "the stored vectors were switched to those of other models while this run was at"
            " work: what it had not stored by then is not; see: shelfsight models"
        )
    return found


def _table(connection: Connection) -> int:
    return int(connection.execute(QUERIES["table"]).fetchall()[0][0])

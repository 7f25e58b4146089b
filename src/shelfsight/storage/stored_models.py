"""Which models made the stored vectors: those of two models cannot be compared."""

from shelfsight.database import Connection, Transactions
from shelfsight.errors import ModelMismatchError
from shelfsight.records import ModelPair
from shelfsight.storage import schema
from shelfsight.storage.failures import QUERIES


def refuse_others(database: Transactions, models: ModelPair) -> bool:
    """Refuse vectors that would not fit those that are stored; True where they would.

    Raises:
        SchemaError: the columns are missing or of other dimensions.
        ModelMismatchError: other models made the stored vectors.
    """

    def work(connection: Connection) -> list[tuple[str | None, str | None, int]]:
        schema.check(connection)
        return connection.execute(QUERIES["stored_models"]).fetchall()

    for image, text, count in database.run(work, read_only=True):
        if image in (None, models.image) and text in (None, models.text):
            continue
        stored = " and ".join(name for name in (image, text) if name)
        raise ModelMismatchError(
            f'"ProductEmbeddings" holds {count} products embedded by {stored}, not by'
            f" {models.image} and {models.text}; use those models, or replace all vectors:"
            " shelfsight backfill --no-skip-existing --all"
        )
    return True

"""What the database holds: the two counts of the README, and what failed."""

from dataclasses import dataclass

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import schema
from shelfsight.storage.index import indexes as index
from shelfsight.storage.vectors.queries import QUERIES as VECTORS

QUERIES = statements.load("shelfsight.storage", "status.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Counts of `"ProductEmbeddings"`, by source type, and of `"EmbeddingFailures"` by kind.

    A failure is `(kind, products, example)`; `models` made the stored vectors; `index_advice` says
    what to do about indexes, if anything.
    """

    total: int
    image: int
    text: int
    combined: int
    by_source: tuple[tuple[str | None, int], ...]
    failures: tuple[tuple[str, int, str], ...]
    models: tuple[str, ...]
    index_advice: str

    def lines(self) -> list[str]:
        """The two SQL results of the README, then what failed and an example of each kind."""
        lines = [
            " total_embeddings | image_count | text_count | combined_count",
            "------------------+-------------+------------+----------------",
            f" {self.total:>16} | {self.image:>11} | {self.text:>10} | {self.combined:>14}",
            "",
            " SourceType | count",
            "------------+-------",
        ]
        lines += [f" {kind or '':<10} | {count:>5}" for kind, count in self.by_source]
        if self.failures:
            lines += ["", "Failures, by kind:"]
            lines += [
                f"  {kind}: {count}, such as {example}" for kind, count, example in self.failures
            ]
        if self.index_advice:
            lines += ["", f"Indexes: {self.index_advice}"]
        return [*lines, ""]


def read(database: Database) -> Status:
    """The state of the store, in one read-only transaction.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """

    def work(connection: Connection) -> Status:
        schema.check(connection)
        counts = connection.execute(QUERIES["totals"]).fetchall()[0]
        total, image, text, combined = counts
        models = connection.execute(VECTORS["stored_models"]).fetchall()
        return Status(
            total=total,
            image=image,
            text=text,
            combined=combined,
            by_source=tuple(sorted(connection.execute(QUERIES["by_source"]), key=str)),
            models=tuple(sorted({name for row in models for name in row[:2] if name})),
            failures=tuple(connection.execute(QUERIES["failures"]).fetchall()),
            index_advice=index.advice(index.read_states(connection)),
        )

    return database.run(work, read_only=True)

"""Reads what the database holds: the counts that the README shows, and the failures."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import psycopg

from shelfsight.backfill.failure_kinds import kind_of
from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, fetch_as
from shelfsight.storage import schema
from shelfsight.storage.calibrations import calibration_in_use
from shelfsight.storage.index import indexes as index
from shelfsight.storage.vectors.model_check import stored_models

QUERIES = statements.load("shelfsight.storage", "status.sql")


class _VectorCounts(NamedTuple):
    """The number of rows of `"ProductEmbeddings"`, and how many of them have each vector."""

    total: int
    image: int
    text: int
    combined: int


class SourceCount(NamedTuple):
    """The number of rows with the same source type: `image`, `text`, `image_text`, or None."""

    source_type: str | None
    rows: int


class FailureCount(NamedTuple):
    """A kind of failure: how many products failed in this way, and the message of one of them."""

    kind: str
    products: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The counts of stored vectors, in all and by source type, and of failures by kind.

    `gone` counts the rows of products that the catalogue no longer has. `models` are the models
    that made the stored vectors, each as `name@revision`. `calibration` says where the
    probabilities of matches come from, and `index_advice` what to do about indexes; both are "" if
    there is nothing to say.
    """

    total: int
    image: int
    text: int
    combined: int
    gone: int
    by_source: tuple[SourceCount, ...]
    failures: tuple[FailureCount, ...]
    models: tuple[str, ...]
    calibration: str
    index_advice: str

    def lines(self) -> list[str]:
        """Format the counts as the two tables that the README shows, then the failures by kind."""
        lines = [
            " total_embeddings | image_count | text_count | combined_count",
            "------------------+-------------+------------+----------------",
            f" {self.total:>16} | {self.image:>11} | {self.text:>10} | {self.combined:>14}",
            "",
            " SourceType | count",
            "------------+-------",
        ]
        lines += [f" {row.source_type or '':<10} | {row.rows:>5}" for row in self.by_source]
        if self.gone:
            lines += [
                "",
                f"Gone from the catalogue: {self.gone} products, which no scan finds; `shelfsight"
                " prune` deletes their vectors",
            ]
        if self.failures:
            lines += ["", "Failures, by kind:"]
            lines += [
                f"  {row.kind} {row.products}: {kind_of(row.kind).cure}; such as {row.example}"
                for row in self.failures
            ]
        if self.calibration:
            lines += ["", f"Calibration: {self.calibration}"]
        if self.index_advice:
            lines += ["", f"Indexes: {self.index_advice}"]
        return [*lines, ""]


def read(database: Database) -> Status:
    """Read the state of the store.

    Raises:
        SchemaError: `shelfsight init` has not run, or the shop's table is missing.
    """

    def work(connection: Connection) -> Status:
        schema.check(connection)
        (counts,) = fetch_as(_VectorCounts, connection, QUERIES["totals"])
        ((gone,),) = connection.execute(QUERIES["gone"]).fetchall()
        by_source = fetch_as(SourceCount, connection, QUERIES["by_source"])
        failures = fetch_as(FailureCount, connection, QUERIES["failures"])
        made_by = stored_models(connection)
        models = {name for row in made_by for name in (row.image, row.text) if name}
        return Status(
            **counts._asdict(),
            gone=gone,
            by_source=tuple(sorted(by_source, key=lambda row: str(tuple(row)))),
            failures=tuple(failures),
            models=tuple(sorted(models)),
            calibration="",
            index_advice=index.advice(index.read_states(connection)),
        )

    try:
        found = database.run(work, read_only=True)
        in_use = calibration_in_use(database)
    except psycopg.errors.UndefinedTable as error:
        raise SchemaError(f"{error.diag.message_primary}; see: shelfsight doctor") from error
    return replace(found, calibration="" if in_use is None else str(in_use))

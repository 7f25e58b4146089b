"""Keeps what failed: product, stage, kind, attempts, and when it may be tried again."""

from collections.abc import Sequence
from datetime import timedelta

from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection
from shelfsight.postgres.need import HASH_PART
from shelfsight.records import TEXT_STAGES, EmbeddedProduct, Failure, Stage

QUERIES = statements.load("shelfsight.storage.vectors", "failure_log.sql")

_SOON = timedelta(minutes=5)
_TOMORROW = timedelta(days=1)

_MAY_COME_BACK = ("http_", "tls_failed", "too_many_redirects", "file_", "forbidden_", "bad_address")
"""Kinds that another day, or another setting, may mend though the content stays the same."""


def record_failures(
    connection: Connection, page: Sequence[EmbeddedProduct], id_type: sql.SQL
) -> None:
    """Bring the failures of a page's products up to date: clear what went well, count the rest.

    What was not needed, and so not tried, waits on.
    """
    failed: dict[tuple[str, Stage], tuple[EmbeddedProduct, Failure]] = {}
    for item in page:
        for failure in sorted(item.failures, key=_patience, reverse=True):
            failed[item.product.id, failure.stage] = item, failure
    waiting = [(item, stage) for item in page for stage in item.untried_stages]
    stay = [*failed, *((item.product.id, stage) for item, stage in waiting)]
    connection.execute(
        QUERIES["clear_failures"].format(id_type=id_type),
        {
            "ids": [item.product.id for item in page],
            "stay": [f"{product} {stage}" for product, stage in stay],
        },
    )
    if waiting:
        connection.execute(
            QUERIES["carry_failures"].format(id_type=id_type),
            {
                "ids": [item.product.id for item, _ in waiting],
                "stages": [stage.value for _, stage in waiting],
                "hashes": [item.product.source_hash for item, _ in waiting],
            },
        )
    if not failed:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            QUERIES["record_failure"].format(id_type=id_type),
            [_row(item, failure) for item, failure in failed.values()],
        )


def _row(item: EmbeddedProduct, failure: Failure) -> dict[str, object]:
    return {
        "id": item.product.id,
        "stage": failure.stage.value,
        "kind": failure.kind,
        "message": failure.message.replace("\0", "").encode("utf-8", "replace").decode(),
        "host": failure.host,
        "source_hash": item.product.source_hash,
        "part": HASH_PART["text" if failure.stage in TEXT_STAGES else "image"],
        "wait": _wait(failure),
        "doubles": failure.retryable,
    }


def _patience(failure: Failure) -> timedelta:
    """Orders the failures of one stage, of which the one that is tried again first is kept."""
    return _wait(failure) or timedelta.max


def _wait(failure: Failure) -> timedelta | None:
    """How long until another try may help; None where only other content can."""
    if failure.retryable:
        return _SOON
    return _TOMORROW if failure.kind.startswith(_MAY_COME_BACK) else None

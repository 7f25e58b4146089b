"""Records failures by product and stage: kind, attempts, and the time of the next attempt."""

from collections.abc import Sequence
from datetime import timedelta

from shelfsight.backfill.failure_kinds import Fault, kind_of
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection
from shelfsight.postgres.need import HASH_PART
from shelfsight.records import TEXT_STAGES, EmbeddedProduct, Failure, Stage
from shelfsight.storage.vectors.target_set import TargetSet

QUERIES = statements.load("shelfsight.storage.vectors", "failure_log.sql")

_FIRST_RETRY = timedelta(minutes=5)
_DAILY_RETRY = timedelta(days=1)

_RETRIED_DAILY = frozenset({Fault.HOST, Fault.SETTINGS})
"""Failures that may end without changed content. Those caused by settings are also due at once when
a setting that caused them has changed."""

MAX_SETTINGS = 8
"""How many different settings a failure remembers. Workers that disagree on settings try a product
once each, not in turn for ever, as long as there are no more than this."""


def record_failures(
    connection: Connection, page: Sequence[EmbeddedProduct], target: TargetSet
) -> None:
    """Update the recorded failures of a page's products in one set of vectors.

    Failures of stages that succeeded are deleted, and attempts that failed again are counted.
    Failures of stages that were not tried stay, and wait for their next attempt.
    """
    failed: dict[tuple[str, Stage], tuple[EmbeddedProduct, Failure]] = {}
    for item in page:
        for failure in sorted(item.failures, key=_wait_to_sort, reverse=True):
            failed[item.product.id, failure.stage] = item, failure
    untried = [(item, stage) for item in page for stage in item.untried_stages]
    stay = [*failed, *((item.product.id, stage) for item, stage in untried)]
    connection.execute(
        QUERIES["clear_failures"].format(id_type=target.id_type),
        {
            "vector_set": target.name,
            "ids": [item.product.id for item in page],
            "stay": [f"{product} {stage}" for product, stage in stay],
        },
    )
    if untried:
        connection.execute(
            QUERIES["carry_failures"].format(id_type=target.id_type),
            {
                "vector_set": target.name,
                "ids": [item.product.id for item, _ in untried],
                "stages": [stage.value for _, stage in untried],
                "parts": [_hash_part(stage) for _, stage in untried],
                "hashes": [item.product.source_hash for item, _ in untried],
            },
        )
    if not failed:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            QUERIES["record_failure"].format(id_type=target.id_type, is_same=QUERIES["is_same"]),
            [
                {"vector_set": target.name, **_row(item, failure)}
                for item, failure in failed.values()
            ],
        )


def _row(item: EmbeddedProduct, failure: Failure) -> dict[str, object]:
    return {
        "id": item.product.id,
        "stage": failure.stage.value,
        "kind": failure.kind,
        "message": failure.message.replace("\0", "").encode("utf-8", "replace").decode(),
        "host": failure.host,
        "source_hash": item.product.source_hash,
        "part": _hash_part(failure.stage),
        "wait": _wait(failure),
        "doubles": failure.retryable,
        "settings": [failure.settings] if failure.settings else [],
        "others": MAX_SETTINGS - 1,
    }


def _hash_part(stage: Stage) -> int:
    return HASH_PART["text" if stage in TEXT_STAGES else "image"]


def _wait_to_sort(failure: Failure) -> timedelta:
    """Return the time until the next attempt, as a sort key for the failures of a stage.

    Of these failures, the one that is tried again first is recorded.
    """
    return _wait(failure) or timedelta.max


def _wait(failure: Failure) -> timedelta | None:
    """Return how long to wait before another attempt; None if only changed content can help."""
    if failure.retryable:
        return _FIRST_RETRY
    return _DAILY_RETRY if kind_of(failure.kind).fault in _RETRIED_DAILY else None

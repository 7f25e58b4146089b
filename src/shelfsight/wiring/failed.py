"""What failed, and what is left over."""

from typing import TYPE_CHECKING

from shelfsight.postgres.connection import Database

if TYPE_CHECKING:
    from shelfsight.storage.failure_report import FailedKind, FailedProduct
    from shelfsight.storage.prune import Leftovers


def failed_kinds(database: Database, kind: str | None, host: str | None) -> "list[FailedKind]":
    """What failed, by kind; of one kind or host where such is given."""
    from shelfsight.storage.failure_report import by_kind

    return by_kind(database, kind, host)


def failed_products(
    database: Database, kind: str, host: str | None, limit: int
) -> "list[FailedProduct]":
    """The products that failed in one way, the latest first."""
    from shelfsight.storage.failure_report import one_by_one

    return one_by_one(database, kind, host, limit=limit)


def prune(database: Database, *, dry_run: bool) -> "Leftovers":
    """Delete what is left over, or only count it."""
    from shelfsight.storage.prune import prune as delete

    return delete(database, dry_run=dry_run)

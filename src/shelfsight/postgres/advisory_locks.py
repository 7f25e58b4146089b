"""The keys of all advisory locks that shelfsight takes, in one place so that no two are equal."""

from enum import IntEnum, unique


@unique
class LockKey(IntEnum):
    """Key of a transaction-level advisory lock (`pg_advisory_xact_lock`).

    Postgres shares these keys among all applications of a database, so they all start with the
    same arbitrary prefix. Never change or reuse a number: processes of an older release may run
    beside those of a newer one, and both must take the same lock.
    """

    INIT_SCHEMA = 0x5E1F5164
    """Serialises `shelfsight init`: two at once would both create the tables."""

    BEGIN_RUN = 0x5E1F5165
    """Serialises the start of backfill runs: two at once would begin two runs of one job."""

    CLAIM_CHANGES = 0x5E1F5166
    """Serialises claims from the change queue: two at once could get two rows of one product."""

    CREATE_STAGED = 0x5E1F5167
    """Serialises the creation of the staged tables: two backfills must not both create them."""

"""The keys of all advisory locks of shelfsight, kept in one place so that no two are equal."""

from enum import IntEnum, unique


@unique
class LockKey(IntEnum):
    """The key of a transaction-level advisory lock (`pg_advisory_xact_lock`).

    All applications of a database share these keys, so the keys of shelfsight start with the same
    arbitrary prefix. Never change or reuse a number: processes of an older release may run beside
    those of a newer release, and both must take the same lock.
    """

    INIT_SCHEMA = 0x5E1F5164
    """Only one `shelfsight init` runs at a time, so that no two create the same tables."""

    BEGIN_RUN = 0x5E1F5165
    """Only one backfill run begins at a time, so that no two runs of the same job begin."""

    CLAIM_CHANGES = 0x5E1F5166
    """Only one worker claims from the change queue at a time.

    Two at once could each get a row of the same product.
    """

    CREATE_STAGED = 0x5E1F5167
    """Only one process creates the staged tables at a time."""

    CALIBRATE = 0x5E1F5168
    """Only one worker calibrates a pair of models after the first backfill.

    It is the first of two keys. The second is a hash of the pair.
    """

"""The attempt log: what began and did not end is known to the next worker."""

from collections.abc import Callable

import pytest

from shelfsight.backfill.ports import AttemptLog
from shelfsight.postgres.connection import Database
from shelfsight.storage.runs.attempt_log import PostgresAttemptLog
from shelfsight.testing import MemoryAttemptLog

Restart = Callable[[], AttemptLog]


@pytest.fixture(params=["memory", "postgres"])
def restart(request: pytest.FixtureRequest) -> Restart:
    """Returns the log as the next worker finds it."""
    if request.param == "memory":
        log = MemoryAttemptLog()
        return lambda: log
    database: Database = request.getfixturevalue("database")
    return lambda: PostgresAttemptLog(database)


def test_what_ended_is_forgotten_and_what_did_not_is_counted(restart: Restart) -> None:
    assert restart().unended() == {}
    restart().begin(["a", "b", "b"])
    restart().begin(["c"])
    restart().end(["a", "absent"])
    assert restart().unended() == {"b": 1, "c": 1}
    restart().begin(["b", "gid://shopify/ProductVariant/1"])
    restart().end(["c"])
    assert restart().unended() == {"b": 2, "gid://shopify/ProductVariant/1": 1}
    restart().begin([])
    restart().end(["b", "gid://shopify/ProductVariant/1"])
    assert restart().unended() == {}

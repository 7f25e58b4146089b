"""In-memory fakes of every port, for your tests and ours: a shop, a fetcher, models, a store.

They fulfil the same contracts as the real implementations: the tests in `tests/contract` run on
both.
"""

from shelfsight.testing.attempts import MemoryAttemptLog
from shelfsight.testing.ledger import MemoryLedger
from shelfsight.testing.memory import (
    MODELS,
    HashEmbedder,
    MemoryCatalog,
    MemoryFetcher,
    direction,
)
from shelfsight.testing.search import MemorySearch
from shelfsight.testing.store import MemoryStore

__all__ = [
    "MODELS",
    "HashEmbedder",
    "MemoryAttemptLog",
    "MemoryCatalog",
    "MemoryFetcher",
    "MemoryLedger",
    "MemorySearch",
    "MemoryStore",
    "direction",
]

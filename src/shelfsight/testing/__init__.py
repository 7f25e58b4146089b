"""A shop, a fetcher, models, a store and a search that live in memory, for tests of yours and ours.

They keep the contracts of `seams`; `tests/contract` runs the same suite over them and over the
real ones.
"""

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
    "MemoryCatalog",
    "MemoryFetcher",
    "MemoryLedger",
    "MemorySearch",
    "MemoryStore",
    "direction",
]

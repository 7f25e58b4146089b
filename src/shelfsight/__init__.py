"""Visual product search for the Postgres that a shop already has.

The names below are the Python API. `shelfsight.errors` has the errors that these functions raise.
Each name is imported when it is first used, so that `import shelfsight` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shelfsight.backfill.report import Report
    from shelfsight.errors import ShelfsightError
    from shelfsight.records import CatalogChoice, Selection, Weights
    from shelfsight.scan.matching import Candidate, Filters, Match, ScanResult
    from shelfsight.shop import Shop, open_shop
    from shelfsight.storage.status import Status

    __version__: str

__all__ = [
    "Candidate",
    "CatalogChoice",
    "Filters",
    "Match",
    "Report",
    "ScanResult",
    "Selection",
    "ShelfsightError",
    "Shop",
    "Status",
    "Weights",
    "open_shop",
]

_MODULES = {
    "Candidate": "shelfsight.scan.matching",
    "CatalogChoice": "shelfsight.records",
    "Filters": "shelfsight.scan.matching",
    "Match": "shelfsight.scan.matching",
    "Report": "shelfsight.backfill.report",
    "ScanResult": "shelfsight.scan.matching",
    "Selection": "shelfsight.records",
    "ShelfsightError": "shelfsight.errors",
    "Shop": "shelfsight.shop",
    "Status": "shelfsight.storage.status",
    "Weights": "shelfsight.records",
    "open_shop": "shelfsight.shop",
}


def __getattr__(name: str) -> object:
    """Import a name of the API, or look up the version, when it is first used (PEP 562)."""
    if name == "__version__":
        return import_module("importlib.metadata").version("shelfsight")
    if name not in _MODULES:
        raise AttributeError(f"module 'shelfsight' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

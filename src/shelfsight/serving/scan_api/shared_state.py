"""What the workers of a scan server share: the counters of rate limits, and the recent scans.

Their parent keeps both. A worker asks it over its link.
"""

from collections.abc import Callable
from typing import Any

from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.rate_limits import RateCounters, Unit
from shelfsight.serving.scan_api.recent_scans import MAX_BYTES, EncodedScans
from shelfsight.serving.workers.channel import Handlers
from shelfsight.serving.workers.link import WorkerLink

Call = Callable[..., Any]


def handlers() -> Handlers:
    """Return the functions with which the parent answers its workers."""
    counters, scans = RateCounters(), EncodedScans()
    return {
        "hit": counters.hit,
        "test": counters.test,
        "counters": counters.__len__,
        "keep_scan": scans.keep,
        "find_scan": scans.find,
        "scans_size": lambda: scans.size,
    }


def share(context: ScanContext, link: WorkerLink) -> None:
    """Let a worker use what its parent keeps; call it before the worker serves requests."""
    context.rate_limiter.counters = _SharedCounters(link.call)
    context.recent.store = _SharedScans(link.call)
    context.recent.max_bytes = MAX_BYTES
    context.metrics.scrape = link.share_metrics(context.metrics.text)


class _SharedCounters:
    """Implements `rate_limits.Counters` by asking the parent."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def hit(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Count; see `Counters.hit`."""
        return int(self._call("hit", unit, limit, caller, cost))

    def test(self, unit: Unit, limit: int, caller: str, cost: int) -> int:
        """Look without counting; see `Counters.test`."""
        return int(self._call("test", unit, limit, caller, cost))

    def __len__(self) -> int:
        """Return the number of counters."""
        return int(self._call("counters"))


class _SharedScans:
    """Implements `recent_scans.ScanStore` by asking the parent."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def size(self) -> int:
        """The bytes that the scans of all workers take."""
        return int(self._call("scans_size"))

    def keep(self, id_: str, encoded: bytes) -> None:
        """Keep a scan under its id."""
        self._call("keep_scan", id_, encoded)

    def find(self, id_: str) -> bytes | None:
        """Return a scan, whichever worker made it; None if it is not known any more."""
        found: bytes | None = self._call("find_scan", id_)
        return found

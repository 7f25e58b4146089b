"""What the endpoints of `shelfsight serve` share."""

from dataclasses import dataclass, field
from pathlib import Path

from shelfsight.images.download import Limits as FetchLimits
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Transactions
from shelfsight.scan.scanner import Scanner
from shelfsight.serving.limits import Limits
from shelfsight.serving.scan_api.auth import Authenticator
from shelfsight.serving.scan_api.metrics import ScanMetrics
from shelfsight.serving.scan_api.photo_input import ReadPhoto
from shelfsight.serving.scan_api.rate_limits import RateLimiter
from shelfsight.serving.scan_api.recent_scans import RecentScans
from shelfsight.serving.scan_api.thread_pool import ThreadPool
from shelfsight.storage.search.feedback import FeedbackStore

FETCH_LIMITS = FetchLimits(
    connect=4, read=6, total=10, retry_pause=0.2, patience=0, host_pause=0, at_once=16
)
"""Someone waits for the answer: shorter times than for the catalogue, and no host is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """What can be set.

    `private_hosts` may be fetched from though their address is private, as `host` or `host:port`.
    `cors_origins` are sites whose pages may ask. A scan is given up after `seconds`.
    `image_root` and `images_per_product` are those of the backfill: the page shows pictures of the
    catalogue, and counts what is due.
    """

    image_root: Path | None = None
    images_per_product: int = 1
    private_hosts: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    seconds: float = 30
    limits: Limits = field(default_factory=Limits)
    fetch_limits: FetchLimits = FETCH_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanService:
    """One server's parts. `workers` is where blocking calls go, `authenticator` says who asks.

    An endpoint begins with `caller = await service.callers.of(request)`; `caller.owner` is then
    the only owner whose products may be seen, None being all. `read_photo` reads a picture's file.
    """

    scanner: Scanner
    embedder: Embedder
    read_photo: ReadPhoto
    database: Transactions
    feedback: FeedbackStore
    authenticator: Authenticator
    rate_limiter: RateLimiter
    workers: ThreadPool
    metrics: ScanMetrics
    config: ScanConfig = field(default_factory=ScanConfig)
    recent: RecentScans = field(default_factory=RecentScans)

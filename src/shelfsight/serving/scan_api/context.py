"""The options of `shelfsight serve`, and the parts that its endpoints share."""

from dataclasses import dataclass, field
from pathlib import Path

from shelfsight.catalog.content import Content
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.download import FetchLimits
from shelfsight.postgres.connection import Transactions
from shelfsight.serving.fair_capacity import FairCapacity
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.scan_api.addresses import AddressFormat
from shelfsight.serving.scan_api.auth import Authenticator
from shelfsight.serving.scan_api.memory_plan import MAP_BYTES
from shelfsight.serving.scan_api.metrics import ScanMetrics
from shelfsight.serving.scan_api.rate_limits import RateLimiter
from shelfsight.serving.scan_api.recent_scans import RecentScans
from shelfsight.serving.scan_api.scan_models import ScanModels
from shelfsight.serving.thread_pool import ThreadPool
from shelfsight.storage.search.feedback import FeedbackStore

FETCH_LIMITS = FetchLimits(
    connect=4, read=6, total=10, retry_pause=0.2, patience=0, host_pause=0, concurrency=128
)
"""Timeouts are shorter than in a backfill, because a client waits. Hosts are never paused.

There is room for many hosts that keep silent; what arrives counts as bytes of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """The options of a scan server.

    Photos may be fetched from `private_hosts` (`host` or `host:port`) even if their addresses are
    private. `cors_origins` are sites whose pages may send requests. All paths are served below
    `path_prefix`, too. A scan times out after `seconds`. Maps of the catalogue in memory take up to
    `map_bytes`. `image_root`, `image_base_url` and `content` are as in the backfill; they serve to
    show pictures of products and to count the products that are due. `product_url` is as in
    `AddressFormat`, and `add_product_url` is the page of the shop where a product is added. All
    prices are in `currency` (ISO 4217). With `confirms_photos`, photos that people confirm become
    references of their products.
    """

    image_root: Path | None = None
    image_base_url: str | None = None
    product_url: str | None = None
    add_product_url: str | None = None
    currency: str | None = None
    content: Content = field(default_factory=Content)
    private_hosts: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    path_prefix: str = ""
    confirms_photos: bool = True
    seconds: float = 30
    limits: ServerLimits = field(default_factory=ServerLimits)
    fetch_limits: FetchLimits = FETCH_LIMITS
    map_bytes: int = MAP_BYTES

    @property
    def addresses(self) -> AddressFormat:
        """How the addresses in responses are made."""
        return AddressFormat(self.image_base_url, self.product_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanContext:
    """The parts of one server. Blocking calls run in `threads`.

    `bodies` counts the bytes of bodies and of downloaded photos in memory, and `waiting` the photos
    and words of the scans in progress; `ServerLimits` limits both.

    Every endpoint starts with `caller = await context.authenticator.authenticate(request)`. It may
    then show only products of `caller.owner`, or of all owners if that is None.
    """

    models: ScanModels
    decoders: DecoderPool
    database: Transactions
    feedback: FeedbackStore
    authenticator: Authenticator
    rate_limiter: RateLimiter
    threads: ThreadPool
    metrics: ScanMetrics
    config: ScanConfig = field(default_factory=ScanConfig)
    recent: RecentScans = field(default_factory=RecentScans)
    bodies: FairCapacity = field(init=False)
    waiting: FairCapacity = field(init=False)

    def __post_init__(self) -> None:
        """Make room for what the configuration allows."""
        limits = self.config.limits
        object.__setattr__(self, "bodies", FairCapacity(limits.waiting_bytes))
        object.__setattr__(self, "waiting", FairCapacity(limits.waiting_pictures))

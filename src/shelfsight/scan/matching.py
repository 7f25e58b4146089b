"""What a scan asks of the store, and what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from shelfsight.records import Modality, Pixels, Vector, Weights

Photo = Sequence[Pixels]
"""The views of one photo, each uint8 (side, side, 3), as the model takes them."""

Confidence = Literal["high", "medium", "low"]
Action = Literal["show_single_match", "show_multiple_candidates", "fallback_to_manual"]
GroupBy = Literal["variant", "product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which products may be found; None, or empty, lets all through.

    `options` are pairs of `"Options"` that a product must have. Prices are in the shop's own
    currency, both bounds included. `updated_since` is an aware time.
    """

    owner: str | None = None
    category: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    skus: tuple[str, ...] = ()
    updated_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanQuery:
    """Photos of one thing, words that describe it, or both. `text` may be a SKU or a barcode."""

    photos: tuple[Photo, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How to answer. Matches that score below `threshold` are left out."""

    limit: int = 10
    filters: Filters = field(default_factory=Filters)
    weights: Weights | None = None
    threshold: float | None = None
    group_by: GroupBy = "variant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The means of a catalogue's image vectors and of those of `count` scanned photos, (768,)."""

    catalogue: Vector
    scans: Vector | None = None
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Means that are taken off before images are compared: the catalogue's and the scans', (768,).

    Pictures of a shop have much in common, and so have photos from a phone; what is left tells
    products apart (GR-CLIP, arXiv 2507.19054).
    """

    catalogue: Vector
    scans: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """The vectors of one thing that is looked for.

    Candidates are the products nearest to `vector` in the column `column`, and those that share
    words with `words` or have it as SKU or barcode. `image` (768,) and `text` (1024,) are then
    compared with each candidate's own; image vectors after `centre` was taken off.
    """

    column: Modality
    vector: Vector
    image: Vector | None = None
    text: Vector | None = None
    words: str | None = None
    centre: Centre | None = None


class Candidate(NamedTuple):
    """A stored product, and how near it is. Scores are cosines, None where not compared.

    `word_score` is the share of the sought words that the product's text has, in [0, 1];
    `is_code` says that they are its very SKU or barcode. A tuple, since each scan makes a hundred.
    """

    id: str
    product_id: str | None = None
    title: str = ""
    description: str = ""
    sku: str | None = None
    price: Decimal | None = None
    image_url: str | None = None
    image_score: float | None = None
    text_score: float | None = None
    word_score: float | None = None
    is_code: bool = False


class Match(NamedTuple):
    """A product found by a scan. `score` is in [-1, 1]."""

    product: Candidate
    score: float
    confidence: Confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What a scan found, best first, and what a shopkeeper should be shown."""

    matches: tuple[Match, ...]
    confidence: Confidence
    action: Action

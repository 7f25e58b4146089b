"""The records of a scan: what is asked, what is searched, what is found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from shelfsight.records import Modality, Pixels, Vector, Weights

Photo = Sequence[Pixels]
"""The views of one photo, each uint8 of shape (side, side, 3), as the image model takes them."""

Confidence = Literal["high", "medium", "low"]
Action = Literal["show_single_match", "show_multiple_candidates", "fallback_to_manual"]
GroupBy = Literal["variant", "product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which products may be found. None, or empty, lets all through.

    `options` are pairs that `"Options"` must have. Prices are in the shop's own currency, bounds
    included. `updated_since` is a time with a time zone.
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
    """What is asked: photos of one thing, words that describe it, or both.

    `text` may be a SKU or a barcode.
    """

    photos: tuple[Photo, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How to answer: at most `limit` matches, none with a score below `threshold`."""

    limit: int = 10
    filters: Filters = field(default_factory=Filters)
    weights: Weights | None = None
    threshold: float | None = None
    group_by: GroupBy = "variant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Mean image vectors, shape (768,): of a catalogue, and of `count` scanned photos."""

    catalogue: Vector
    scans: Vector | None = None
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The means that are subtracted before image vectors are compared, shape (768,) each.

    Pictures of one shop have much in common, and so do photos from phones. What is left tells
    products apart (GR-CLIP, arXiv 2507.19054).
    """

    catalogue: Vector
    scans: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """The vectors of one thing to search for.

    Candidates are the products nearest to `vector` in the column `column`, and those that share
    words with `words` or have it as SKU or barcode. `image` (768,) and `text` (1024,) are then
    compared with each candidate's own, image vectors after `centre` was subtracted.
    """

    column: Modality
    vector: Vector
    image: Vector | None = None
    text: Vector | None = None
    words: str | None = None
    centre: Centre | None = None


class Candidate(NamedTuple):
    """A stored product and how near it is. Scores are cosines; None means not compared.

    `word_score` is the share of the query's words that the product's text has, in [0, 1]. `is_code`
    says that the query is its SKU or barcode. A tuple, because each scan makes a hundred of them.
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
    """What a scan found, best first, and what to show: see `Action`."""

    matches: tuple[Match, ...]
    confidence: Confidence
    action: Action

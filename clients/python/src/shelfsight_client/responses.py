"""The bodies of responses, as they are sent: field names are in camelCase."""

from typing import Literal, TypedDict

Confidence = Literal["high", "medium", "low"]
Because = Literal["code", "picture", "color", "confirmed_photo", "words"]
Action = Literal["show_single_match", "show_multiple_candidates", "fallback_to_manual"]


class Problem(TypedDict):
    """What went wrong; `type` ends in a stable word."""

    type: str
    title: str
    status: int
    detail: str


class Match(TypedDict):
    """A product that was found; `probability` is in [0, 1], similarities are cosines."""

    productId: str | None
    ProductVariantId: str
    title: str
    description: str
    sku: str | None
    price: float | None
    imageUrl: str | None
    score: float
    imageSimilarity: float | None
    textSimilarity: float | None
    probability: float | None
    confidence: Confidence
    because: list[Because]
    exactCode: bool
    combinedScore: float
    productUrl: str | None
    isLocalMatch: bool


class Box(TypedDict):
    """A part of a photo: its upper left corner and its size, as parts of the upright photo."""

    x: float
    y: float
    width: float
    height: float


class Matches(TypedDict):
    """Matches, best first, and the recommended way to show them."""

    matches: list[Match]
    confidence: Confidence
    notInCatalog: float | None
    recommendedAction: Action
    hint: str | None


class PhotoResult(Matches):
    """The result of one photo, of photos of one thing, or of words alone."""

    sourceIndex: int
    sourceType: Literal["image", "text"]
    notes: list[Literal["truncated"]]
    error: Problem | None
    processingTimeMs: float


class ScanResponse(Matches):
    """The response to a scan; `results` has one result for each photo."""

    scanId: str
    overallConfidence: Confidence
    ignored: list[str]
    results: list[PhotoResult]
    totalProcessingTimeMs: float


class Progress(TypedDict):
    """How many photos of a scan are done, and how many there are."""

    done: int
    total: int


class ProgressEvent(TypedDict):
    """An event of a streamed scan: how far it is."""

    event: Literal["progress"]
    data: Progress


class PhotoEvent(TypedDict):
    """An event of a streamed scan: the result of a photo."""

    event: Literal["photo"]
    data: PhotoResult


class ScanEnd(TypedDict):
    """The last event of a streamed scan: the whole response."""

    event: Literal["end"]
    data: ScanResponse


Event = ProgressEvent | PhotoEvent | ScanEnd


class FeedbackResponse(TypedDict):
    """The feedback that was stored, and how many photos became references of the product."""

    scanId: str
    verdict: str
    productVariantId: str | None
    confirmedPhotos: int
    whyNotConfirmed: Literal["no_photo", "off", "not_allowed", "product_gone"] | None


class ReadinessProblem(TypedDict):
    """A reason why scans cannot be answered now."""

    kind: str
    detail: str


class Readiness(TypedDict):
    """Whether scans can be answered now."""

    ready: bool
    problems: list[ReadinessProblem]
    notes: list[str]

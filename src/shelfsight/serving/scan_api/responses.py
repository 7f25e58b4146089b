"""The bodies of the scan server's responses, and how several results are combined into one."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shelfsight.images.photo_box import PhotoBox
from shelfsight.records import PhotoNote
from shelfsight.scan.matching import (
    Action,
    Because,
    Confidence,
    GroupBy,
    Match,
    ScanResult,
)
from shelfsight.scan.ranking import best_first
from shelfsight.serving.scan_api.addresses import AddressFormat
from shelfsight.serving.scan_api.problems import ProblemDetails

SourceType = Literal["image", "text"]
"""What a result is of: photos, maybe with words, or words alone."""


WhyNotConfirmed = Literal["no_photo", "off", "not_allowed", "product_gone"]
"""Why a photo that is right did not become a reference of its product."""


class ResponseModel(BaseModel):
    """A response body, with field names in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class MatchResponse(ResponseModel):
    """One matching product, with its scores.

    `imageSimilarity` and `textSimilarity` are cosines, or null if these vectors were not compared.
    `probability` is how probable it is that the query shows this product, or null if the models
    were not calibrated; `confidence` is its level. `because` are the kinds of evidence that speak
    for the match, the strongest first; it may be empty. `exactCode` is true if the query's words,
    or a code in its photo, are the product's SKU or barcode. `combinedScore` is `score` once more,
    `productUrl` is the page of the product in the shop (`PRODUCT_URL`, or its own link), or null;
    `isLocalMatch` is always true: clients of other servers read it.
    """

    product_id: str | None
    product_variant_id: str = Field(alias="ProductVariantId")
    title: str
    description: str
    sku: str | None
    price: float | None
    image_url: str | None
    score: float
    image_similarity: float | None
    text_similarity: float | None
    probability: float | None
    confidence: Confidence
    because: list[Because]
    exact_code: bool
    combined_score: float
    product_url: str | None
    is_local_match: bool = True


class MatchesResponse(ResponseModel):
    """Matches, best first, and the recommended way to show them.

    `notInCatalog` is how probable it is that the query shows no product that may be found. It is
    null if the models were not calibrated, and for several photos of different things.
    """

    matches: list[MatchResponse]
    confidence: Confidence
    not_in_catalog: float | None = None
    recommended_action: Action
    hint: str | None = None


class PhotoResultResponse(MatchesResponse):
    """The result of one photo, of photos of one thing, or of words alone."""

    source_index: int
    source_type: SourceType
    notes: list[PhotoNote] = []
    error: ProblemDetails | None = None
    processing_time_ms: float


class ScanResponse(MatchesResponse):
    """The response to a scan; `matches` has the best matches of all results, each product once.

    `overallConfidence` is `confidence` once more. `ignored` names the fields of the request that
    have no effect.
    """

    scan_id: str
    overall_confidence: Confidence
    ignored: list[str] = []
    results: list[PhotoResultResponse]
    total_processing_time_ms: float


class BoxResponse(ResponseModel):
    """A box around a thing: its upper left corner and its size, as parts of the upright photo."""

    x: float
    y: float
    width: float
    height: float


class BoxesResponse(ResponseModel):
    """Boxes around the things in a photo, in the order of reading; maybe none."""

    boxes: list[BoxResponse]


class ScanProgress(ResponseModel):
    """How many photos of a scan are done, and how many there are."""

    done: int
    total: int


class FeedbackResponse(ResponseModel):
    """The feedback that was stored.

    `confirmedPhotos` is how many photos became references of the product by a verdict `right`. If
    none did, `whyNotConfirmed` says why: the scan had no photo (`no_photo`), the server does not
    use confirmed photos (`off`), the client may not (`not_allowed`), or the product is gone
    (`product_gone`).
    """

    scan_id: str
    verdict: str
    product_variant_id: str | None
    confirmed_photos: int
    why_not_confirmed: WhyNotConfirmed | None


NO_MATCHES = ScanResult(matches=(), confidence="low", action="fallback_to_manual")


def match_responses(matches: Iterable[Match], addresses: AddressFormat) -> list[MatchResponse]:
    """Convert matches to the response format; scores are rounded to four decimals."""
    return [
        MatchResponse(
            product_id=match.product.product_id,
            ProductVariantId=match.product.id,
            title=match.product.title,
            description=match.product.description,
            sku=match.product.sku,
            price=None if match.product.price is None else float(match.product.price),
            image_url=addresses.image(match.product.image_url),
            score=round(match.score, 4),
            image_similarity=_rounded(match.product.image_score),
            text_similarity=_rounded(match.product.text_score),
            probability=_rounded(match.probability),
            confidence=match.confidence,
            because=list(match.because),
            exact_code=match.product.is_code,
            combined_score=round(match.score, 4),
            product_url=addresses.page(match.product),
        )
        for match in matches
    ]


def matches_response(result: ScanResult, addresses: AddressFormat) -> MatchesResponse:
    """Convert the result of a scan to the response format."""
    return MatchesResponse(
        matches=match_responses(result.matches, addresses),
        confidence=result.confidence,
        not_in_catalog=_rounded(result.not_in_catalog),
        recommended_action=result.action,
    )


def boxes_response(boxes: Iterable[PhotoBox]) -> BoxesResponse:
    """Convert boxes to the response format; their edges are rounded to four decimals."""
    return BoxesResponse(boxes=[_box_response(box) for box in boxes])


def merge_matches(results: Sequence[ScanResult], group_by: GroupBy) -> list[Match]:
    """Return the matches of all results, best first, without duplicates.

    If several results have the same variant (or the same product, as `group_by` says), only the
    best match is kept.
    """
    matches = [match for result in results for match in result.matches]
    best: dict[str, Match] = {}
    for match in sorted(matches, key=best_first):
        best.setdefault(_identity(match, group_by), match)
    return list(best.values())


def combine_results(results: Sequence[ScanResult], limit: int, group_by: GroupBy) -> ScanResult:
    """Combine results into one result with at most `limit` matches.

    A single match is recommended only if all results that have matches recommend the same one.
    """
    if len(results) == 1:
        return results[0]
    matches = tuple(merge_matches(results, group_by)[:limit])
    if not matches:
        return NO_MATCHES
    with_matches = [result for result in results if result.matches]
    first = {_identity(result.matches[0], group_by) for result in with_matches}
    is_single = all(result.action == "show_single_match" for result in with_matches)
    return ScanResult(
        matches=matches,
        confidence=matches[0].confidence,
        action="show_single_match" if is_single and len(first) == 1 else "show_multiple_candidates",
    )


def _identity(match: Match, group_by: GroupBy) -> str:
    product = match.product
    return product.product_id or product.id if group_by == "product" else product.id


def _box_response(box: PhotoBox) -> BoxResponse:
    x, y = round(box.x, 4), round(box.y, 4)
    width, height = round(box.x + box.width - x, 4), round(box.y + box.height - y, 4)
    return BoxResponse(x=x, y=y, width=width, height=height)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)

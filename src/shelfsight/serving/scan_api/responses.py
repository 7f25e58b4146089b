"""What a scan is answered with."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shelfsight.scan.matching import Action, Confidence, GroupBy, Match, ScanResult
from shelfsight.serving.scan_api.problems import Problem

SourceType = Literal["url", "base64", "file", "text", "combined"]


class Answer(BaseModel):
    """JSON in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class MatchAnswer(Answer):
    """A product. A similarity is a cosine, null where the two have nothing to compare.

    `exactCode` says that the words asked for are its very SKU or barcode.
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
    confidence: Confidence
    exact_code: bool


class FoundAnswer(Answer):
    """Matches, best first, and what a shopkeeper should be shown."""

    matches: list[MatchAnswer]
    confidence: Confidence
    recommended_action: Action
    hint: str | None = None


class ResultAnswer(FoundAnswer):
    """What came of one photo, of all together (`combined`), or of words alone."""

    source_index: int
    source_type: SourceType
    error: Problem | None = None
    processing_time_ms: float


class ScanAnswer(FoundAnswer):
    """`matches` are the best over all results, a product once."""

    scan_id: str
    results: list[ResultAnswer]
    total_processing_time_ms: float


class FeedbackAnswer(Answer):
    """What was kept."""

    scan_id: str
    verdict: str
    product_variant_id: str | None


NOTHING = ScanResult(matches=(), confidence="low", action="fallback_to_manual")


def match_answers(matches: Iterable[Match]) -> list[MatchAnswer]:
    """Write matches as they travel."""
    return [
        MatchAnswer(
            product_id=match.product.product_id,
            ProductVariantId=match.product.id,
            title=match.product.title,
            description=match.product.description,
            sku=match.product.sku,
            price=None if match.product.price is None else float(match.product.price),
            image_url=match.product.image_url,
            score=round(match.score, 4),
            image_similarity=_rounded(match.product.image_score),
            text_similarity=_rounded(match.product.text_score),
            confidence=match.confidence,
            exact_code=match.product.is_code,
        )
        for match in matches
    ]


def found_answer(found: ScanResult) -> FoundAnswer:
    """Write what was found as it travels."""
    return FoundAnswer(
        matches=match_answers(found.matches),
        confidence=found.confidence,
        recommended_action=found.action,
    )


def merged(results: Sequence[ScanResult], group_by: GroupBy) -> list[Match]:
    """The matches of all results, best first; a variant, or a product, once by its best score."""
    matches = [match for found in results for match in found.matches]
    best: dict[str, Match] = {}
    for match in sorted(matches, key=lambda match: match.score, reverse=True):
        best.setdefault(_identity(match, group_by), match)
    return list(best.values())


def best_of(results: Sequence[ScanResult], limit: int, group_by: GroupBy) -> ScanResult:
    """The best over all results.

    One match is recommended only where every photo that found something means that one.
    """
    if len(results) == 1:
        return results[0]
    matches = tuple(merged(results, group_by)[:limit])
    if not matches:
        return NOTHING
    found_some = [found for found in results if found.matches]
    same = {_identity(found.matches[0], group_by) for found in found_some}
    alone = len(same) == 1 and all(found.action == "show_single_match" for found in found_some)
    return ScanResult(
        matches=matches,
        confidence=matches[0].confidence,
        action="show_single_match" if alone else "show_multiple_candidates",
    )


def _identity(match: Match, group_by: GroupBy) -> str:
    product = match.product
    return product.product_id or product.id if group_by == "product" else product.id


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)

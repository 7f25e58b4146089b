"""The path of a photo, from its pixels to the products it may show."""

from collections.abc import Sequence

import numpy as np

from shelfsight.embedding.fusion import mean_of
from shelfsight.errors import ModelError
from shelfsight.records import (
    Candidate,
    Failure,
    Match,
    Modality,
    Pixels,
    Vector,
    Weights,
)
from shelfsight.seams import Embedder, Fusion, VectorStore

CANDIDATES = 200
"""Neighbours that are ranked exactly; 50 by the combined column held 99% of the best 10."""


class Scanner:
    """Finds products by a photo, a text or both."""

    def __init__(
        self, embedder: Embedder, store: VectorStore, fusion: Fusion, weights: Weights
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._fusion = fusion
        self._weights = weights

    def scan(self, views: Sequence[Pixels], text: str | None, limit: int = 10) -> list[Match]:
        """The best matches, best first: candidates by the fitting column, then ranked exactly.

        `views` of one photo are embedded in one pass, and their mean is looked for. The combined
        column never ranks: a product without text would beat every complete one.

        Raises:
            ModelError: the query itself cannot be embedded.
            ModelMismatchError: other models made the stored vectors.
            ValueError: neither photo nor text.
        """
        self._store.require(self._embedder.models)
        image = mean_of(_vectors(self._embedder.embed_images(views))) if views else None
        words = mean_of(_vectors(self._embedder.embed_texts([text], query=True))) if text else None
        column, query = self._query(image, words)
        candidates = self._store.nearest(column, query, max(CANDIDATES, limit))
        return rank(candidates, image, words, self._weights)[:limit]

    def _query(self, image: Vector | None, text: Vector | None) -> tuple[Modality, Vector]:
        """The column in which candidates are looked for, and the vector to look with."""
        if text is None and image is not None:
            return "image", image
        if image is None and text is not None:
            return "text", text
        combined = self._fusion.combine(image, text)
        if combined is None:
            raise ValueError("a scan needs a photo or a text")
        return "combined", combined


def rank(
    candidates: Sequence[Candidate], image: Vector | None, text: Vector | None, weights: Weights
) -> list[Match]:
    """Order by late fusion: the weighted mean of the cosines over what query and product share."""
    matches = [_match(candidate, image, text, weights) for candidate in candidates]
    return sorted(matches, key=lambda match: match.score, reverse=True)


def _match(
    candidate: Candidate, image: Vector | None, text: Vector | None, weights: Weights
) -> Match:
    image_score = _cosine(image, candidate.image)
    text_score = _cosine(text, candidate.text)
    scores = [(image_score, weights.image), (text_score, weights.text)]
    shared = [(score, weight) for score, weight in scores if score is not None]
    total = sum(weight for _, weight in shared)
    if total == 0:
        score = max((score for score, _ in shared), default=-1.0)
    else:
        score = sum(score * weight for score, weight in shared) / total
    return Match(
        id=candidate.id,
        title=candidate.title,
        sku=candidate.sku,
        score=score,
        image_score=image_score,
        text_score=text_score,
    )


def _cosine(query: Vector | None, stored: Vector | None) -> float | None:
    return None if query is None or stored is None else float(np.dot(query, stored))


def _vectors(results: Sequence[Vector | Failure]) -> list[Vector]:
    for result in results:
        if isinstance(result, Failure):
            raise ModelError(f"the query cannot be embedded: {result.message}")
    return [result for result in results if not isinstance(result, Failure)]

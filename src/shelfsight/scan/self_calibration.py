"""Calibrates a pair of models without labels, on photos made of the shop's own pictures.

A synthetic photo is labelled: it shows the product of its picture. So are words taken from a
product's own text. Real photos are harder for some models and easier for others, so such a fit is
less true than one on labelled photos; `docs/figures.md` compares both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from shelfsight.fusion import mean_of
from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.models.color_histogram import color_histograms
from shelfsight.ports import Embedder
from shelfsight.records import EvidenceKind, Failure, Vector
from shelfsight.scan import mean_centering
from shelfsight.scan.calibration_fit import ScoredQueries, fit
from shelfsight.scan.matching import Candidate, Centre, Filters, Photo, PhotoColor, SearchQuery
from shelfsight.scan.ports import ProductSearch
from shelfsight.scan.ranking import SCORES
from shelfsight.scan.scanner import CANDIDATES

ENOUGH = 50
"""How many queries of a modality a fit needs at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnQuery:
    """A query made of a product's own picture or text: a photo or words.

    `product` is the id of the variant.
    """

    product: str
    photo: Photo | None = None
    words: str | None = None


def calibrate(
    embedder: Embedder, search: ProductSearch, queries: Iterable[OwnQuery]
) -> Calibration | None:
    """Return the calibration that fits the queries; None if there are too few of each modality.

    Raises:
        ModelError: a query cannot be embedded.
        ModelMismatchError: other models made the stored vectors.
    """
    search.require(embedder.models)
    scored: dict[EvidenceKind, list[tuple[str, list[Candidate]]]]
    scored = {"image": [], "text": [], "color": []}
    for product, asked in _with_colors(search, _asked(embedder, search, queries)):
        found = search.candidates(asked, Filters(), CANDIDATES)
        if any(candidate.id == product for candidate in found):
            scored["text" if asked.image is None else "image"].append((product, found))
        if any(one.id == product and one.color_score is not None for one in found):
            scored["color"].append((product, found))
    evidence = {name: _fitted(name, rows) for name, rows in scored.items() if len(rows) >= ENOUGH}
    if "image" not in evidence:
        return None
    counts = f"{len(scored['image'])} photos made of this shop's pictures"
    return Calibration(evidence=evidence, source=counts)


def words_of(text: str, chance: np.random.Generator) -> str | None:
    """Return words that a person might search this product's text by; None if it has too few.

    They are one to three words of the text's first line, its title.
    """
    title = re.findall(r"\w{3,}", (text.strip().splitlines() or [""])[0])
    if len(title) < 2:
        return None
    count = min(int(chance.integers(1, 4)), len(title) - 1)
    places = sorted(chance.choice(len(title), count, replace=False).tolist())
    return " ".join(title[place] for place in places).lower()


class _Asked(NamedTuple):
    """What to search for, the product that is right, and the photo's colours (256,)."""

    product: str
    search_query: SearchQuery
    color: Vector | None


def _asked(
    embedder: Embedder, search: ProductSearch, queries: Iterable[OwnQuery]
) -> Iterator[_Asked]:
    for one in queries:
        asked = _search_query(embedder, search, one)
        color = None if one.photo is None else mean_of(color_histograms(one.photo))
        if asked is not None:
            yield _Asked(one.product, asked, color)


def _with_colors(search: ProductSearch, queries: Iterable[_Asked]) -> list[tuple[str, SearchQuery]]:
    """Return products and queries; photos have their colours, centred by the mean of all photos."""
    every = list(queries)
    colors = [one.color for one in every if one.color is not None]
    means = search.means(None, "color")
    if not colors or means is None:
        return [(one.product, one.search_query) for one in every]
    scans: Vector = np.mean(colors, axis=0, dtype=np.float32)
    centre = Centre(catalogue=means.catalogue, scans=scans)
    return [
        (
            one.product,
            one.search_query
            if one.color is None
            else replace(one.search_query, color=PhotoColor(photo=one.color, centre=centre)),
        )
        for one in every
    ]


def _search_query(embedder: Embedder, search: ProductSearch, one: OwnQuery) -> SearchQuery | None:
    if one.photo is not None:
        image = mean_of(_known(embedder.embed_images(one.photo)))
        if image is None:
            return None
        means = search.means(None) if mean_centering.helps(embedder.models) else None
        # synthetic photos have little in common with the photos that people take
        centre = None
        if means is not None:
            centre = Centre(catalogue=means.catalogue, scans=means.catalogue)
        return SearchQuery(column="image", vector=image, image=image, centre=centre)
    text = mean_of(_known(embedder.embed_texts([one.words or ""], query=True)))
    return (
        text
        if text is None
        else SearchQuery(column="text", vector=text, text=text, words=one.words)
    )


def _known(results: Sequence[Vector | Failure]) -> list[Vector]:
    return [one for one in results if not isinstance(one, Failure)]


def _fitted(kind: EvidenceKind, rows: Sequence[tuple[str, list[Candidate]]]) -> Evidence:
    width = max(len(found) for _, found in rows)
    scores = np.full((len(rows), width), -np.inf)
    right = np.zeros(scores.shape, bool)
    for n, (product, found) in enumerate(rows):
        values = [SCORES[kind](candidate) for candidate in found]
        scores[n, : len(found)] = [np.nan if value is None else value for value in values]
        wanted = {one.product_id or one.id for one in found if one.id == product}
        right[n, : len(found)] = [(one.product_id or one.id) in wanted for one in found]
    return fit(ScoredQueries(scores=scores, right=right))

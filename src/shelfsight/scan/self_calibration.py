"""Calibrates a pair of models without labels, on photos made of the shop's own pictures.

A synthetic photo is labelled: it shows the product of its picture. So are words taken from a
product's own text. Real photos are harder for some models and easier for others, so such a fit is
less true than one on labelled photos; `docs/figures.md` compares both.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shelfsight.fusion import mean_of
from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.ports import Embedder
from shelfsight.records import Failure, Modality, Vector
from shelfsight.scan import mean_centering
from shelfsight.scan.calibration_fit import ScoredQueries, fit
from shelfsight.scan.matching import Candidate, Centre, Filters, Photo, SearchQuery
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
    scored: dict[Modality, list[tuple[str, list[Candidate]]]] = {"image": [], "text": []}
    for one in queries:
        modality: Modality = "image" if one.photo is not None else "text"
        if (asked := _search_query(embedder, search, one)) is not None:
            found = search.candidates(asked, Filters(), CANDIDATES)
            if any(candidate.id == one.product for candidate in found):
                scored[modality].append((one.product, found))
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


def _fitted(modality: Modality, rows: Sequence[tuple[str, list[Candidate]]]) -> Evidence:
    width = max(len(found) for _, found in rows)
    scores = np.full((len(rows), width), -np.inf)
    right = np.zeros(scores.shape, bool)
    for n, (product, found) in enumerate(rows):
        values = [SCORES[modality](candidate) for candidate in found]
        scores[n, : len(found)] = [np.nan if value is None else value for value in values]
        wanted = {one.product_id or one.id for one in found if one.id == product}
        right[n, : len(found)] = [(one.product_id or one.id) in wanted for one in found]
    return fit(ScoredQueries(scores=scores, right=right))

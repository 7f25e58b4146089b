"""Finds products by photos, words or both: embeds the query, searches, and ranks the results."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import numpy as np

from shelfsight.errors import DatabaseError, ModelError
from shelfsight.fusion import NEGLIGIBLE, mean_of
from shelfsight.models.calibration import Calibration
from shelfsight.models.color_histogram import color_histograms
from shelfsight.ports import Embedder, Fusion
from shelfsight.records import Failure, Feature, Vector, Weights
from shelfsight.scan import mean_centering
from shelfsight.scan.confidence import built_in
from shelfsight.scan.matching import (
    Centre,
    Filters,
    Means,
    Photo,
    PhotoColor,
    ScanOptions,
    ScanQuery,
    ScanResult,
    SearchQuery,
    WhyNothing,
    why_nothing,
)
from shelfsight.scan.ports import ProductSearch
from shelfsight.scan.product_codes import stored_as
from shelfsight.scan.ranking import (
    Ranking,
    best_of_each_product,
    found,
    is_absent,
    is_shown,
    merged,
    rank,
)
from shelfsight.telemetry.traces import span

CANDIDATES = 100
"""Number of nearest neighbours whose scores are then computed exactly.

The 50 nearest by the combined column contained 99% of the 10 best products."""

COLOR_SCANS = 5
"""Colours count once so many photos were scanned, as `mean_centering.effective_scans` counts them.

Their mean must be known, because shop pictures have a white background and photos do not. With the
catalogue's mean in its place, recall@1 on photos of groceries was 0.08 lower than without colours;
with the mean of 5 photos it was 0.08 higher."""

Later = Callable[[Callable[[], None]], None]
"""A function that runs work immediately, or after the answer was sent."""


def at_once(work: Callable[[], None]) -> None:
    """Run the work immediately; the simplest function of the type `Later`."""
    work()


def never(_work: Callable[[], None]) -> None:
    """Leave the work undone: a scan that only measures changes nothing."""


class Scanner:
    """Finds products by photos, words or both. Several threads may use it at the same time.

    `later` runs work that can wait until the answer was sent.
    """

    def __init__(
        self,
        embedder: Embedder,
        search: ProductSearch,
        fusion: Fusion,
        weights: Weights,
        later: Later = at_once,
    ) -> None:
        self._embedder = embedder
        self._search = search
        self._fusion = fusion
        self._weights = weights
        self._later = later

    def scan(self, scan_query: ScanQuery, options: ScanOptions) -> ScanResult:
        """Find the products that the photos show and the words describe, with the best match first.

        The database finds candidates by the vector column that fits the query: image, text or
        combined. The candidates are then ranked by the evidence of their exact image and text
        scores. If there are several photos, the best match of each product counts. The combined
        vectors are not used for ranking, because products without text would be ranked above
        complete products.

        Raises:
            ModelError: the query cannot be embedded.
            ModelMismatchError: other models made the stored vectors.
            FilterError: a filter needs a column that the shop's tables lack.
            ValueError: neither a photo nor text is given.
        """
        self._search.require(self._embedder.models)
        words = (scan_query.text or "").strip() or None
        text = self._text(words) if words else None
        codes = stored_as([*([words] if words else []), *scan_query.codes])
        images = [self._image(photo) for photo in scan_query.photos]
        means = self._means(options) if images else None
        centre = None if means is None else mean_centering.centre_of(means)
        owner, calibration = options.filters.owner, self._calibration()
        confirmed = calibration is not None and "image" in calibration.evidence
        colors, color_centre = self._colors(scan_query.photos, owner, calibration)
        asked = [
            replace(
                self._search_query(image, text, words),
                centre=centre,
                codes=codes,
                color=_photo_color(color, color_centre),
                confirmed=confirmed,
            )
            for image, color in zip_longest(images or [None], colors)
        ]
        found = self._found(asked, options, calibration)
        learned: dict[Feature, list[Vector | None]]
        learned = {"image": [] if means is None else images, "color": colors}
        if any(learned.values()):
            self._later(partial(self._learn, owner, learned))
        return replace(found, vectors=tuple(image for image in images if image is not None))

    def is_empty(self, filters: Filters) -> bool:
        """Return whether no product that passes the filters has vectors, so a backfill is needed.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
        """
        return not self._search.coverage(filters).embedded

    def why_nothing(self, filters: Filters, *, photo: bool, text: bool) -> WhyNothing:
        """Return why a scan with these filters, of a photo, of text or of both, found nothing.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
        """
        return why_nothing(self._search.coverage(filters), photo=photo, text=text)

    def similar(self, id_: str, options: ScanOptions) -> ScanResult | None:
        """Find products similar to a stored product, without that product itself.

        They are ranked by score: nothing was measured about how probable it is that a person finds
        two products similar. Without a threshold, the nearest are returned, even if they are not
        similar. The
        result is None if the stored product has no vectors or does not pass the filters.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
        """
        search_query = self._search.vectors(id_, options.filters)
        if search_query is None:
            return None
        means = self._means(options)
        if means is not None:
            centre = Centre(catalogue=means.catalogue, scans=means.catalogue)
            search_query = replace(search_query, centre=centre)
        if options.threshold is None:
            options = replace(options, threshold=-1)
        return self._found([search_query], options, None, without=id_)

    def _found(
        self,
        asked: Sequence[SearchQuery],
        options: ScanOptions,
        calibration: Calibration | None,
        without: str | None = None,
    ) -> ScanResult:
        rankings = [self._ranked(one, options, calibration, without) for one in asked]
        matches, not_in_catalog = merged(rankings)
        if options.threshold is None and is_absent(matches, not_in_catalog):
            matches = []
        kept = [match for match in matches if is_shown(match, options.threshold)]
        if options.group_by == "product":
            kept = best_of_each_product(kept)
        return found(kept[: options.limit], not_in_catalog)

    def _ranked(
        self,
        search_query: SearchQuery,
        options: ScanOptions,
        calibration: Calibration | None,
        without: str | None,
    ) -> Ranking:
        candidates = self._search.candidates(
            search_query, options.filters, max(CANDIDATES, options.limit)
        )
        others = [one for one in candidates if one.id != without and one.sku not in options.without]
        weights = options.weights or self._weights
        has_confirmed = any(one.confirmed for one in others)
        level = self._photo_level(search_query, options) if has_confirmed else 0.0
        with span("rank", **{"shelfsight.candidates": len(others)}):
            return rank(others, weights, calibration, level)

    def _photo_level(self, search_query: SearchQuery, options: ScanOptions) -> float:
        """Return how alike two photos of different things are; 0 if the means are subtracted.

        Without the means, it is taken to be as that of two pictures of the catalogue.
        """
        if search_query.centre is not None:
            return 0.0
        means = self._search.means(options.filters.owner)
        return 0.0 if means is None else float(means.catalogue @ means.catalogue)

    def _calibration(self) -> Calibration | None:
        """Return the calibration of the shop, or else the one that comes with the models."""
        return self._search.calibration() or built_in(self._embedder.models)

    def _means(self, options: ScanOptions) -> Means | None:
        """Return the means to subtract from image vectors; None if these models need none."""
        if not mean_centering.helps(self._embedder.models):
            return None
        return self._search.means(options.filters.owner)

    def _search_query(
        self, image: Vector | None, text: Vector | None, words: str | None
    ) -> SearchQuery:
        """Choose the vector column to search, and the vectors to compare with candidates."""
        if text is None and image is not None:
            return SearchQuery(column="image", vector=image, image=image)
        if image is None and text is not None:
            return SearchQuery(column="text", vector=text, text=text, words=words)
        combined = self._fusion.combine(image, text)
        if combined is None:
            raise ValueError("a scan needs a photo or a text")
        return SearchQuery(column="combined", vector=combined, image=image, text=text, words=words)

    def _image(self, photo: Photo) -> Vector | None:
        """Return the mean of the vectors of a photo's views."""
        return mean_of(_vectors(self._embedder.embed_images(photo)))

    def _colors(
        self, photos: Sequence[Photo], owner: str | None, calibration: Calibration | None
    ) -> tuple[list[Vector | None], Centre | None]:
        """Return the histogram of each photo, and the means to subtract before comparing them.

        There are no histograms if colours do not count, and no means before enough photos were
        scanned.
        """
        if not photos or calibration is None or "color" not in calibration.evidence:
            return [], None
        means = self._search.means(owner, "color")
        if means is None:
            return [], None
        centre = None
        if means.scans is not None and mean_centering.effective_scans(means) >= COLOR_SCANS:
            centre = Centre(catalogue=means.catalogue, scans=means.scans)
        return [mean_of(color_histograms(photo)) for photo in photos], centre

    def _text(self, words: str) -> Vector | None:
        return mean_of(_vectors(self._embedder.embed_texts([words], query=True)))

    def _learn(self, owner: str | None, learned: Mapping[Feature, Sequence[Vector | None]]) -> None:
        """Update the means of scanned photos, unless the database is read-only or fails."""
        with suppress(DatabaseError):
            for feature, vectors in learned.items():
                for vector in vectors:
                    if vector is not None:
                        self._search.learn(owner, vector, feature)


def _photo_color(color: Vector | None, centre: Centre | None) -> PhotoColor | None:
    if color is None or centre is None or np.linalg.norm(color - centre.scans) < NEGLIGIBLE:
        return None
    return PhotoColor(photo=color, centre=centre)


def _vectors(results: Sequence[Vector | Failure]) -> list[Vector]:
    for result in results:
        if isinstance(result, Failure):
            raise ModelError(f"the query cannot be embedded: {result.message}")
    return [result for result in results if not isinstance(result, Failure)]

"""An in-memory product search over a `MemoryStore`."""

import numpy as np

from shelfsight.errors import FilterError
from shelfsight.models.calibration import Calibration
from shelfsight.records import EmbeddedProduct, Feature, ModelPair, Vector
from shelfsight.scan.matching import (
    Candidate,
    ConfirmedScan,
    Coverage,
    Filters,
    Means,
    PhotoColor,
    SearchQuery,
)
from shelfsight.testing.store import MemoryStore

_MIN_NORM = 1e-6
"""A vector that is shorter than this has no meaningful direction."""


class MemorySearch:
    """Implements `scan.ports.ProductSearch`. It filters only by owner, and has no product codes."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.scans: dict[tuple[Feature, str | None], list[Vector]] = {}
        self.confirmed: list[ConfirmedScan] = []

    def require(self, models: ModelPair) -> None:
        """Check that these models made the stored vectors; call this before the first search.

        Raises:
            ModelMismatchError: other models made the stored vectors.
        """
        self._store.require(models)

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """Return the `limit` products nearest to the query, and those that contain all its words.

        Products in memory have no SKU and no barcode, so the query's codes find nothing.

        Raises:
            FilterError: `filters` has a filter other than the owner.
        """
        rows = self._visible(filters)
        near = [
            (float(vector @ search_query.vector), id_)
            for id_, row in rows.items()
            if (vector := getattr(row, search_query.column)) is not None
        ]
        ids = [id_ for _, id_ in sorted(near, reverse=True)[:limit]]
        confirmed = self._confirmed(search_query, filters)
        ids += [id_ for id_ in confirmed if id_ in rows]
        if search_query.words:
            ids += [id_ for id_, row in rows.items() if _share(search_query.words, row) == 1]
        return [
            _candidate(rows[id_], search_query)._replace(confirmed=confirmed.get(id_))
            for id_ in dict.fromkeys(ids)
        ]

    def coverage(self, filters: Filters) -> Coverage:
        """Return what there is to find among the stored products that pass the filters."""
        rows = self._visible(filters).values()
        return Coverage(
            products=bool(rows),
            embedded=any(row.combined is not None for row in rows),
            image=any(row.image is not None for row in rows),
            text=any(row.text is not None for row in rows),
        )

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """Build a query for products similar to the product `id_`.

        None if the product is not stored, does not pass the filters, or has no vector.
        """
        row = self._visible(filters).get(id_)
        if row is None:
            return None
        if row.image is not None and row.text is not None and row.combined is not None:
            return SearchQuery(
                column="combined", vector=row.combined, image=row.image, text=row.text
            )
        if row.image is not None:
            return SearchQuery(column="image", vector=row.image, image=row.image)
        return (
            None if row.text is None else SearchQuery(column="text", vector=row.text, text=row.text)
        )

    def means(self, owner: str | None, feature: Feature = "image") -> Means | None:
        """Return the mean of a feature in an owner's catalogue, and in the owner's scans.

        If `owner` is None, the catalogue is that of all owners. The result is None if no product of
        the catalogue has this feature.
        """
        rows = self._visible(Filters(owner=owner)).values()
        stored = [row.image if feature == "image" else row.color for row in rows]
        known = [vector for vector in stored if vector is not None]
        if not known:
            return None
        scans = self.scans.get((feature, owner), [])
        return Means(
            catalogue=_mean(known), scans=_mean(scans) if scans else None, count=len(scans)
        )

    def calibration(self) -> Calibration | None:
        """Return None: nothing was fitted on these pictures."""
        return None

    def learn(self, owner: str | None, vector: Vector, feature: Feature = "image") -> None:
        """Add a feature of a scanned photo to its mean in the owner's scans."""
        self.scans.setdefault((feature, owner), []).append(vector)

    def _confirmed(
        self, search_query: SearchQuery, filters: Filters
    ) -> dict[str, list[list[float]]]:
        """Return the pairs of `Candidate.confirmed` by product."""
        image = search_query.image
        if image is None or not search_query.confirmed:
            return {}
        mean = np.zeros_like(image) if search_query.centre is None else search_query.centre.scans
        pairs: dict[str, list[list[float]]] = {}
        for scan in self.confirmed:
            if filters.owner is None or scan.owner in (None, filters.owner):
                of_product = pairs.setdefault(scan.product, [])
                for vector in scan.vectors:
                    cosine = _cosine(image - mean, vector - mean)
                    of_product.append([cosine or 0.0, float(scan.resembles)])
        return pairs

    def _visible(self, filters: Filters) -> dict[str, EmbeddedProduct]:
        if filters != Filters(owner=filters.owner):
            raise FilterError("products in memory can be chosen by their owner only")
        return {
            id_: row
            for id_, row in self._store.rows.items()
            if filters.owner in (None, row.product.owner_id)
        }


def _candidate(row: EmbeddedProduct, search_query: SearchQuery) -> Candidate:
    image, stored = search_query.image, row.image
    if search_query.centre is not None and image is not None and stored is not None:
        rest = stored - search_query.centre.catalogue
        if np.linalg.norm(rest) > _MIN_NORM:
            asked = image - search_query.centre.scans
            image, stored = asked if np.linalg.norm(asked) > _MIN_NORM else image, rest
    return Candidate(
        id=row.product.id,
        product_id=row.product.product_id,
        title=row.product.title,
        description=row.product.description,
        image_url=row.picture.url if row.picture else None,
        image_score=_cosine(image, stored),
        text_score=_cosine(search_query.text, row.text),
        word_score=_share(search_query.words, row) if search_query.words else None,
        color_score=_color_score(search_query.color, row.color),
    )


def _color_score(color: PhotoColor | None, stored: Vector | None) -> float | None:
    if color is None or stored is None:
        return None
    rest = stored - color.centre.catalogue
    if np.linalg.norm(rest) <= _MIN_NORM:
        return None
    return _cosine(color.photo - color.centre.scans, rest)


def _share(words: str, row: EmbeddedProduct) -> float:
    wanted, had = set(words.lower().split()), set(row.text_used.lower().split())
    return len(wanted & had) / len(wanted)


def _cosine(one: Vector | None, other: Vector | None) -> float | None:
    if one is None or other is None:
        return None
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _mean(vectors: list[Vector]) -> Vector:
    mean: Vector = np.mean(vectors, axis=0, dtype=np.float32)
    return mean

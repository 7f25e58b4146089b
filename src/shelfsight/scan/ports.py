"""The interface of the product search; `shelfsight.ports` has the interfaces of all paths."""

from typing import Protocol

from shelfsight.models.calibration import Calibration
from shelfsight.records import Feature, ModelPair, Vector
from shelfsight.scan.matching import Candidate, Coverage, Filters, Means, SearchQuery


class ProductSearch(Protocol):
    """Searches the stored products. Several threads may use it if its database allows that."""

    def require(self, models: ModelPair) -> None:
        """Refuse a query if other models made the stored vectors.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        ...

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """Return the `limit` products nearest to the query, and those that its words match.

        Fewer than `limit` are returned only if fewer products pass the filters and have a vector in
        the searched column.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
            ModelMismatchError: after `require`, the stored vectors were replaced by those of other
                models.
        """
        ...

    def coverage(self, filters: Filters) -> Coverage:
        """Return what there is to find among the products that pass the filters.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
        """
        ...

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """Return a query that finds products like a stored one; None if that has no vectors.

        None is also returned if the stored product does not pass the filters.

        Raises:
            FilterError: a filter needs a column that the shop's tables lack.
        """
        ...

    def means(self, owner: str | None, feature: Feature = "image") -> Means | None:
        """Return the means of a feature in an owner's catalogue and scans, or of all if None.

        The result is None if no product has this feature.
        """
        ...

    def calibration(self) -> Calibration | None:
        """Return what was fitted on this shop's own pictures, for the models of `require`.

        The result is None if nothing was, or if they were replaced by those of other models.
        """
        ...

    def learn(self, owner: str | None, vector: Vector, feature: Feature = "image") -> None:
        """Update the mean of scanned photos with a feature of one more photo."""
        ...

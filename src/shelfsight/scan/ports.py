"""The contract that a scan relies on; `shelfsight.ports` has those that both paths share."""

from typing import Protocol

from shelfsight.records import ModelPair, Vector
from shelfsight.scan.matching import Candidate, Filters, Means, SearchQuery


class ProductSearch(Protocol):
    """Searches the stored products. Several threads may use it if they may use its database."""

    def require(self, models: ModelPair) -> None:
        """Refuse queries by other models than those that made the stored vectors.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        ...

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """Return the `limit` products nearest to the query, and those that its words name.

        It returns no fewer than `limit` if so many pass the filters and have that vector.

        Raises:
            FilterError: the shop's tables lack a column.
            ModelMismatchError: a switch to vectors of other models took place since `require`.
        """
        ...

    def is_empty(self, filters: Filters) -> bool:
        """Whether no product that passes the filters has vectors.

        Raises:
            FilterError: the shop's tables lack a column.
        """
        ...

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """Make the query that finds products like a stored one; None if it has no vectors.

        Raises:
            FilterError: the shop's tables lack a column.
        """
        ...

    def means(self, owner: str | None) -> Means | None:
        """The means of an owner's catalogue and scans, or of all; None without any image."""
        ...

    def learn(self, owner: str | None, image: Vector) -> None:
        """Update the mean of scanned photos with the vector of one photo."""
        ...

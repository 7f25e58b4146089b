"""The contract that a scan relies on; see `shelfsight.ports` for what embeds."""

from typing import Protocol

from shelfsight.records import ModelPair, Vector
from shelfsight.scan.matching import Candidate, Filters, Means, SearchQuery


class ProductSearch(Protocol):
    """Finds stored products. Threads may use it at the same time if they may use its database."""

    def require(self, models: ModelPair) -> None:
        """Refuse queries of other models than those that made the stored vectors.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        ...

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """The `limit` products nearest to what is sought, and those that its words name.

        Never fewer than `limit` where so many pass the filters and have that vector.

        Raises:
            FilterError: the shop's tables have no such column.
            ModelMismatchError: vectors of other models were switched to since `require`.
        """
        ...

    def is_empty(self, filters: Filters) -> bool:
        """Whether nothing is stored that passes the filters.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        ...

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """What to look for to find products like this one; None where there is none to be seen.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        ...

    def means(self, owner: str | None) -> Means | None:
        """The means of an owner's catalogue and scans, or of all; None without a catalogue."""
        ...

    def learn(self, owner: str | None, image: Vector) -> None:
        """Let the vector of a scan's photo count in the mean of the scans."""
        ...

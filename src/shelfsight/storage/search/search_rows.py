"""The rows that the search statement returns."""

from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from shelfsight.scan.matching import Candidate


class SearchRow(NamedTuple):
    """A row of the statement `search`; its fields are the statement's columns, in the same order.

    `is_near` is True for nearest neighbours and False for word matches. `table_oid` identifies the
    table that the search read. The other fields are those of `Candidate`.
    """

    is_near: bool
    id: str
    product_id: str | None
    title: str
    description: str
    sku: str | None
    price: Decimal | None
    link: str | None
    image_url: str | None
    image_score: float | None
    text_score: float | None
    word_score: float | None
    color_score: float | None
    confirmed: list[list[float]] | None
    is_code: bool
    table_oid: int

    def candidate(self) -> Candidate:
        """Return the candidate that this row describes."""
        return Candidate._make(_candidate_fields(self))


# the positions are looked up once: each scan makes a hundred candidates, and keywords would be
# slower
_candidate_fields = itemgetter(*(SearchRow._fields.index(name) for name in Candidate._fields))

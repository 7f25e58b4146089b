"""The rows that the search statement returns."""

from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from shelfsight.scan.matching import Candidate


class SearchRow(NamedTuple):
    """A row of the statement `search`; its fields are the statement's columns, in order.

    `is_near` is True for nearest neighbours and False for word matches. `table_oid` is the table
    that was read. The other fields are those of `Candidate`.
    """

    is_near: bool
    id: str
    product_id: str | None
    title: str
    description: str
    sku: str | None
    price: Decimal | None
    image_url: str | None
    image_score: float | None
    text_score: float | None
    word_score: float | None
    is_code: bool
    table_oid: int

    def candidate(self) -> Candidate:
        """Return the fields of `Candidate`."""
        return Candidate._make(_candidate_fields(self))


# positions found by name: each scan makes a hundred candidates, and keywords would cost more time
_candidate_fields = itemgetter(*(SearchRow._fields.index(name) for name in Candidate._fields))

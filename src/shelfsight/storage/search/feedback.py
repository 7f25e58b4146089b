"""Stores people's verdicts on matches; the confidence of matches is calibrated with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Transactions
from shelfsight.records import Modality, ModelPair, Vector
from shelfsight.scan.matching import ConfirmedScan, Match
from shelfsight.storage.search import confirmed_photos

QUERIES = statements.load("shelfsight.storage.search", "feedback.sql")

Verdict = Literal["right", "wrong", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownScan:
    """A scan that was shown to a person: its models, and its matches with the best match first.

    `photos` has the image vectors of the photos, (768,) each, in which a product was found, by the
    id of the product. `resembling` are the products for which the look of the photo, its colours or
    a code in it spoke.
    """

    id: str
    owner: str | None
    query_kind: Modality
    models: ModelPair
    matches: tuple[Match, ...]
    photos: Mapping[str, Sequence[Vector]] = field(default_factory=dict, compare=False, repr=False)
    resembling: frozenset[str] = frozenset()


class FeedbackStore:
    """Writes verdicts to the table `"ScanFeedback"`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def save(
        self,
        scan: ShownScan,
        verdict: Verdict,
        product: str | None,
        photos: Sequence[Vector] = (),
    ) -> int:
        """Store the verdict on the match `product`, or the verdict `none`: all matches are wrong.

        A second verdict on the same match replaces the first. `photos` are the image vectors of
        photos, (768,) each, that become references of the product if the verdict is `right`. Those
        of an earlier verdict are taken back. Returns how many were stored.

        Raises:
            ValueError: `product` is not among the matches.
            SchemaError: `shelfsight init` has not run.
            DatabaseError: the verdict cannot be stored.
        """
        values = _values(scan, verdict, product)

        def work(connection: Connection) -> int:
            connection.execute(QUERIES["save"], values)
            confirmed_photos.drop_scan(connection, scan.id, product)
            if verdict != "right" or product is None or not photos:
                return 0
            confirmed = ConfirmedScan(
                id=scan.id,
                owner=scan.owner,
                product=product,
                model=scan.models.image,
                vectors=photos,
                resembles=product in scan.resembling,
            )
            return confirmed_photos.add(connection, confirmed)

        try:
            return self._database.run(work)
        except psycopg.errors.UndefinedTable:
            raise SchemaError(
                "the database is not prepared (a table of feedback is missing);"
                " run: shelfsight init"
            ) from None


def _values(scan: ShownScan, verdict: Verdict, product: str | None) -> dict[str, Any]:
    ids = [match.product.id for match in scan.matches]
    rank = ids.index(product) + 1 if product is not None else 1 if ids else None
    match = scan.matches[rank - 1] if rank else None
    return {
        "scan_id": scan.id,
        "owner": scan.owner,
        "product": product,
        "verdict": verdict,
        "rank": rank,
        "score": match and match.score,
        "image_score": match and match.product.image_score,
        "text_score": match and match.product.text_score,
        "confidence": match and match.confidence,
        "query_kind": scan.query_kind,
        "image_model": scan.models.image,
        "text_model": scan.models.text,
        "shown": Jsonb([_to_json(match) for match in scan.matches]),
    }


def _to_json(match: Match) -> dict[str, object]:
    return {
        "id": match.product.id,
        "score": match.score,
        "imageScore": match.product.image_score,
        "textScore": match.product.text_score,
        "wordScore": match.product.word_score,
        "confidence": match.confidence,
    }

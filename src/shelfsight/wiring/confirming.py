"""Stores the photos of a scan as references of the product that they show."""

import secrets

from shelfsight.errors import SelectionError
from shelfsight.postgres.connection import Transactions
from shelfsight.records import ModelPair
from shelfsight.scan.confirmed_photos import resembles
from shelfsight.scan.matching import ConfirmedScan, ScanResult
from shelfsight.storage.search.confirmed_photos import ConfirmedPhotos


def confirm(
    database: Transactions,
    models: ModelPair,
    found: ScanResult,
    product: str,
    owner: str | None,
) -> int:
    """Store the photos of a scan, which show the variant `product`; return how many were stored.

    Raises:
        SelectionError: there is no such product, or it is not the owner's.
        DatabaseError: the database cannot be used.
    """
    photos = ConfirmedPhotos(database)
    if not photos.may_confirm(product, owner):
        whose = "" if owner is None else f" of {owner}"
        raise SelectionError(f"there is no product{whose} with the id {product}")
    scan = ConfirmedScan(
        id=secrets.token_urlsafe(16),
        owner=owner,
        product=product,
        model=models.image,
        vectors=found.vectors,
        resembles=any(one.product.id == product and resembles(one) for one in found.matches),
    )
    return photos.add(scan)

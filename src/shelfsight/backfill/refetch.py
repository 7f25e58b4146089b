"""Decides whether a stored image vector is kept after its pictures were requested again."""

from collections.abc import Sequence
from dataclasses import replace

from shelfsight.records import (
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    Product,
)

Outcome = Picture | KnownPicture | PictureFile | Failure
"""The result for an address: a picture to embed, the unchanged file, or a failure."""


def fetched_product(product: Product, outcomes: Sequence[Outcome]) -> FetchedProduct:
    """Combine a product with the results of fetching its pictures, which are given in order.

    If the stored image vector was to be checked (CHECK), the results decide whether to make it
    again (MAKE) or to keep it (KEEP); see `stays`.
    """
    failures = tuple(one for one in outcomes if isinstance(one, Failure))
    if not stays(product, outcomes):
        pictures = tuple(one for one in outcomes if isinstance(one, Picture | KnownPicture))
        made = replace(product, image_need=Need.MAKE)
        return FetchedProduct(product=made, pictures=pictures, failures=failures)
    files = tuple(one for one in outcomes if isinstance(one, PictureFile))
    return FetchedProduct(
        product=replace(product, image_need=Need.KEEP),
        failures=failures,
        kept=() if _has_lost(product, outcomes) else files,
    )


def stays(product: Product, outcomes: Sequence[Outcome]) -> bool:
    """Return whether the stored image vector is kept, given the fetch results of its pictures.

    A checked vector is kept if no picture has changed. It is also kept if one of the pictures that
    it was made from cannot be fetched, because a new vector would be made from fewer pictures.
    """
    if product.image_need is not Need.CHECK:
        return product.image_need is Need.KEEP
    has_changed = any(isinstance(one, Picture | KnownPicture) for one in outcomes)
    return not has_changed or _has_lost(product, outcomes)


def _has_lost(product: Product, outcomes: Sequence[Outcome]) -> bool:
    """Return whether a picture that the stored image vector was made from could not be fetched."""
    known = {file.url for file in product.files}
    # a run may fetch fewer pictures than the product has
    by_address = zip(product.image_urls, outcomes, strict=False)
    return any(url in known and isinstance(one, Failure) for url, one in by_address)

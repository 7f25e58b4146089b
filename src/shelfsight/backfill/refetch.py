"""Decides whether a stored image is kept, once its pictures have been asked for again."""

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
"""The result for one address: a picture to embed, the file that is stored already, or neither."""


def fetched_product(product: Product, outcomes: Sequence[Outcome]) -> FetchedProduct:
    """Join a product with the results for its first addresses, in order, and settle its need.

    A check ends in MAKE or KEEP; see `stays`.
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
    """Say whether the stored image is kept, given the results for the product's addresses.

    A checked image is kept while no picture has changed. It is also kept if a picture that it was
    made of cannot be fetched: the stored vector is better than one of fewer pictures.
    """
    if product.image_need is not Need.CHECK:
        return product.image_need is Need.KEEP
    has_changed = any(isinstance(one, Picture | KnownPicture) for one in outcomes)
    return not has_changed or _has_lost(product, outcomes)


def _has_lost(product: Product, outcomes: Sequence[Outcome]) -> bool:
    """Whether a picture that the stored image is made of could not be fetched."""
    known = {file.url for file in product.files}
    by_address = zip(product.image_urls, outcomes, strict=False)  # a run may use fewer
    return any(url in known and isinstance(one, Failure) for url, one in by_address)

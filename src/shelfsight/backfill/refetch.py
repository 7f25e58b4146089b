"""Decides whether a stored image is still that of its pictures, after they were fetched again."""

from collections.abc import Sequence
from dataclasses import replace

from shelfsight.records import Failure, FetchedProduct, Picture, PictureFile, Product

Outcome = Picture | PictureFile | Failure
"""What came of one address: a new picture, the unchanged file of the stored image, or a failure."""


def fetched_product(product: Product, outcomes: Sequence[Outcome]) -> FetchedProduct:
    """Combine a product with the outcomes of its first addresses, in order.

    If the stored image stays (see `stays`), the image is not needed any more and no picture is
    passed on.
    """
    failures = tuple(one for one in outcomes if isinstance(one, Failure))
    if not stays(product, outcomes):
        pictures = tuple(one for one in outcomes if isinstance(one, Picture))
        return FetchedProduct(product=product, pictures=pictures, failures=failures)
    kept = tuple(one for one in outcomes if isinstance(one, PictureFile))
    return FetchedProduct(
        product=replace(product, needs_image=False),
        failures=failures,
        kept=() if _has_lost(product, outcomes) else kept,
    )


def stays(product: Product, outcomes: Sequence[Outcome]) -> bool:
    """Whether the stored image, if there is one, is kept.

    It is kept if no picture has changed. It is also kept if a picture that it is made of cannot be
    fetched: the stored image is better than one of fewer pictures.
    """
    if not product.files:
        return False
    has_changed = any(isinstance(one, Picture) for one in outcomes)
    return not has_changed or _has_lost(product, outcomes)


def _has_lost(product: Product, outcomes: Sequence[Outcome]) -> bool:
    """Whether a picture that the stored image is made of could not be fetched."""
    known = {file.url for file in product.files}
    by_address = zip(product.image_urls, outcomes, strict=False)  # a run may use fewer
    return any(url in known and isinstance(one, Failure) for url, one in by_address)

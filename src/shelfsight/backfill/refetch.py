"""Whether a stored image is still that of its pictures, once they have been asked for again."""

from collections.abc import Sequence
from dataclasses import replace

from shelfsight.records import Failure, FetchedProduct, Picture, PictureFile, Product

Outcome = Picture | PictureFile | Failure
"""What came of an address: a picture, the file that the stored image is made of, or neither."""


def fetched_product(product: Product, outcomes: Sequence[Outcome]) -> FetchedProduct:
    """The product with what came of its first addresses, in their order; see `stays`."""
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
    """Whether its stored image, if it has one, is not made anew.

    It stays while no picture is another, and where one that it is made of cannot be had: what is
    stored is better than less.
    """
    if not product.files:
        return False
    has_changed = any(isinstance(one, Picture) for one in outcomes)
    return not has_changed or _has_lost(product, outcomes)


def _has_lost(product: Product, outcomes: Sequence[Outcome]) -> bool:
    known = {file.url for file in product.files}
    by_address = zip(product.image_urls, outcomes, strict=False)  # a run may use fewer
    return any(url in known and isinstance(one, Failure) for url, one in by_address)

"""Generate the products of a shop, some of them with gaps and faults as in real catalogues."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from shelfsight.demo.shop.design import Design, Format
from shelfsight.demo.shop.palettes import PALETTES
from shelfsight.demo.shop.product_kinds import PATTERN_NAMES, PRODUCT_KINDS
from shelfsight.demo.shop.wording import WRITING_STYLES, very_long_description

SMALLEST, LARGEST = 40, 1000
ODD_SHARE = 0.05
OWNERS = ("atelier-nord", "atelier-sud")
PACKS = ("Single", "Set of 2", "Set of 4")
MISSING_PICTURE = "discontinued.jpg"
"""The file name of the broken link; this file is never drawn."""

USUAL_FORMATS: tuple[Format, ...] = ("jpeg", "jpeg", "jpeg", "jpeg", "png", "webp")
ODD_FORMATS: tuple[Format, ...] = ("cutout", "gif", "cmyk", "sideways")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProduct:
    """A product of the shop.

    `picture` is a file name, or None for a product without a picture. The product with a broken
    link names a file that does not exist. `design` says what to draw into the file, or is None if
    nothing is drawn. Size variants of one product share `picture` and `design`.
    """

    sku: str
    title: str
    description: str
    price: Decimal
    options: dict[str, str]
    owner: str
    picture: str | None
    design: Design | None


def make_shop(seed: int = 7, count: int = 300) -> list[DemoProduct]:
    """Return `count` products; the same seed always gives the same products.

    No two pictures look alike. About 5% of the products have no picture, 5% have no text, and 5%
    share a picture with two others. One product has neither text nor picture, one has a broken
    link, and one has a description of 50,000 characters.

    Raises:
        ValueError: `count` is less than 40 or more than 1,000.
    """
    if not SMALLEST <= count <= LARGEST:
        raise ValueError(f"a demo shop has {SMALLEST} to {LARGEST} products, not {count}")
    random = np.random.default_rng(seed)
    changes = _changes(count)
    order = random.permutation(len(changes))
    odd_formats = iter(ODD_FORMATS)
    shop: list[DemoProduct] = []
    for design, position in zip(_designs(random), order, strict=False):
        change = changes[position]
        odd = next(odd_formats, None) if change is _unchanged else None
        product = _product(replace(design, format=odd) if odd else design, random)
        shop.extend(change(product))
    return [replace(product, sku=f"DEMO-{i:04}") for i, product in enumerate(shop, start=1)]


Change = Callable[[DemoProduct], list[DemoProduct]]
"""Turns a complete product into what the shop lists: one product, or several variants."""


def _changes(count: int) -> list[Change]:
    """Return the changes that turn complete products into a shop of `count` products.

    There is one change for each complete product.
    """
    share = round(count * ODD_SHARE)
    groups = round(share / len(PACKS))
    changes: list[Change] = [_without_both, _broken_link, _long_description]
    changes += [_without_picture] * share + [_without_text] * share + [_as_size_variants] * groups
    return changes + [_unchanged] * (count - len(changes) - groups * (len(PACKS) - 1))


def _unchanged(product: DemoProduct) -> list[DemoProduct]:
    return [product]


def _without_picture(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, picture=None, design=None)]


def _without_text(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, title="", description="")]


def _without_both(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, title="", description="", picture=None, design=None)]


def _broken_link(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, picture=MISSING_PICTURE, design=None)]


def _long_description(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, description=very_long_description(product.title))]


def _as_size_variants(product: DemoProduct) -> list[DemoProduct]:
    sizes = PRODUCT_KINDS[product.design.kind].sizes if product.design else ()
    return [
        replace(
            product, title=f"{product.title} / {size}", options=product.options | {"Size": size}
        )
        for size in (sizes or PACKS)[: len(PACKS)]
    ]


def _designs(random: np.random.Generator) -> Iterator[Design]:
    """Yield designs, with the kinds of product in turn.

    Each kind uses a pattern only once, and uses all palettes before it repeats a palette.
    """
    kinds = list(PRODUCT_KINDS)
    patterns = {kind: random.permutation(list(PATTERN_NAMES)) for kind in kinds}
    palettes = {kind: random.permutation([p.name for p in PALETTES]) for kind in kinds}
    for round_ in range(len(PATTERN_NAMES)):
        for kind in random.permutation(kinds):
            yield Design(
                kind=str(kind),
                pattern=str(patterns[kind][round_]),
                palette=str(palettes[kind][round_ % len(PALETTES)]),
                seed=int(random.integers(2**31)),
                format=USUAL_FORMATS[int(random.integers(len(USUAL_FORMATS)))],
            )


def _product(design: Design, random: np.random.Generator) -> DemoProduct:
    wording = WRITING_STYLES[int(random.integers(len(WRITING_STYLES)))](design)
    kind = PRODUCT_KINDS[design.kind]
    options = {"Colour": design.palette} | ({"Size": kind.sizes[0]} if kind.sizes else {})
    return DemoProduct(
        sku="",
        title=wording.title,
        description=wording.description,
        price=Decimal(kind.cents + 100 * int(random.integers(6))).scaleb(-2),
        options=options,
        owner=OWNERS[int(random.integers(len(OWNERS)))],
        picture=design.file_name,
        design=design,
    )

"""Puts a shop together: which products there are, and which of them are odd."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from shelfsight.demo.shop.design import Design, Format
from shelfsight.demo.shop.nouns import KINDS, PATTERNS
from shelfsight.demo.shop.palettes import PALETTES
from shelfsight.demo.shop.wording import STYLES, endless

SMALLEST, LARGEST = 40, 1000
ODD_SHARE = 0.05
OWNERS = ("atelier-nord", "atelier-sud")
PACKS = ("Single", "Set of 2", "Set of 4")
MISSING_PICTURE = "discontinued.jpg"
"""A file name that is linked to and never drawn."""

USUAL_FORMATS: tuple[Format, ...] = ("jpeg", "jpeg", "jpeg", "jpeg", "png", "webp")
ODD_FORMATS: tuple[Format, ...] = ("cutout", "gif", "cmyk", "sideways")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProduct:
    """A product of the shop.

    `picture` is a file name: None for a product without one, and for the broken link the name of
    a file that does not exist. `design` is what to draw there; None where nothing is drawn.
    Variants of one product share both.
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
    """A shop of `count` products, the same for the same seed; no two pictures are alike.

    About 5% have no picture, 5% no text, and 5% share a picture with two others. One has neither
    text nor picture, one a broken link, one a text of 50,000 characters.

    Raises:
        ValueError: if `count` is less than 40 or more than 1,000.

    """
    if not SMALLEST <= count <= LARGEST:
        raise ValueError(f"a demo shop has {SMALLEST} to {LARGEST} products, not {count}")
    random = np.random.default_rng(seed)
    fates = _fates(count)
    order = random.permutation(len(fates))
    odd_formats = iter(ODD_FORMATS)
    shop: list[DemoProduct] = []
    for design, position in zip(_designs(random), order, strict=False):
        fate = fates[position]
        odd = next(odd_formats, None) if fate is _as_it_is else None
        product = _product(replace(design, format=odd) if odd else design, random)
        shop.extend(fate(product))
    return [replace(product, sku=f"DEMO-{i:04}") for i, product in enumerate(shop, start=1)]


Fate = Callable[[DemoProduct], list[DemoProduct]]


def _fates(count: int) -> list[Fate]:
    """What becomes of each product on the way to the shelf."""
    share = round(count * ODD_SHARE)
    groups = round(share / len(PACKS))
    fates: list[Fate] = [_without_both, _broken_link, _talkative]
    fates += [_without_picture] * share + [_without_text] * share + [_in_sizes] * groups
    return fates + [_as_it_is] * (count - len(fates) - groups * (len(PACKS) - 1))


def _as_it_is(product: DemoProduct) -> list[DemoProduct]:
    return [product]


def _without_picture(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, picture=None, design=None)]


def _without_text(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, title="", description="")]


def _without_both(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, title="", description="", picture=None, design=None)]


def _broken_link(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, picture=MISSING_PICTURE, design=None)]


def _talkative(product: DemoProduct) -> list[DemoProduct]:
    return [replace(product, description=endless(product.title))]


def _in_sizes(product: DemoProduct) -> list[DemoProduct]:
    sizes = KINDS[product.design.kind].sizes if product.design else ()
    return [
        replace(
            product, title=f"{product.title} / {size}", options=product.options | {"Size": size}
        )
        for size in (sizes or PACKS)[: len(PACKS)]
    ]


def _designs(random: np.random.Generator) -> Iterator[Design]:
    """Kinds in turn; a kind has each pattern once, and each palette before one comes again."""
    kinds = list(KINDS)
    patterns = {kind: random.permutation(list(PATTERNS)) for kind in kinds}
    palettes = {kind: random.permutation([p.name for p in PALETTES]) for kind in kinds}
    for lap in range(len(PATTERNS)):
        for kind in random.permutation(kinds):
            yield Design(
                kind=str(kind),
                pattern=str(patterns[kind][lap]),
                palette=str(palettes[kind][lap % len(PALETTES)]),
                seed=int(random.integers(2**31)),
                format=USUAL_FORMATS[int(random.integers(len(USUAL_FORMATS)))],
            )


def _product(design: Design, random: np.random.Generator) -> DemoProduct:
    wording = STYLES[int(random.integers(len(STYLES)))](design)
    kind = KINDS[design.kind]
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

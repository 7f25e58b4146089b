"""What the page is told about the catalogue."""

import numpy as np
from numpy.typing import NDArray

from shelfsight.serving.scan_api.page.map2d import Plane
from shelfsight.serving.scan_api.responses import Answer
from shelfsight.storage.search.sample import CatalogueCounts, SampledProduct


class FailedAnswer(Answer):
    """How many products failed in one way, and an example."""

    kind: str
    products: int
    example: str


class StateAnswer(Answer):
    """Counts of products: all, those with vectors, those that a backfill would embed."""

    products: int
    embedded: int
    image: int
    text: int
    combined: int
    due: int
    failures: list[FailedAnswer]


class Place(Answer):
    """A point of the map."""

    x: float
    y: float


class PlacedProduct(Place):
    """A product on the map."""

    id: str
    title: str
    image_url: str | None


class MapAnswer(Answer):
    """The catalogue in two dimensions, which show `explained` of its variance, in [0, 1].

    `count` products have an image vector, of which `products` are a sample. Places of another
    `version` do not compare.
    """

    version: str
    explained: float
    count: int
    products: list[PlacedProduct]


class PlacesAnswer(Answer):
    """A scan on the map `version`: its matches, and its photo where there was one."""

    version: str
    photo: Place | None
    products: list[PlacedProduct]


def state_answer(counts: CatalogueCounts, due: int) -> StateAnswer:
    """Write counts as they travel."""
    return StateAnswer(
        products=counts.products,
        embedded=counts.embedded,
        image=counts.image,
        text=counts.text,
        combined=counts.combined,
        due=due,
        failures=[
            FailedAnswer(kind=kind, products=products, example=example)
            for kind, products, example in counts.failures
        ],
    )


def vectors_of(products: list[SampledProduct]) -> NDArray[np.float32]:
    """Their image vectors, (n, 768)."""
    return np.array([product.vector for product in products], np.float32)


def placed(plane: Plane, products: list[SampledProduct]) -> list[PlacedProduct]:
    """Products where they lie in a plane."""
    if not products:
        return []
    return [
        PlacedProduct(
            id=product.id,
            title=product.title,
            image_url=product.image_url,
            x=round(float(x), 4),
            y=round(float(y), 4),
        )
        for product, (x, y) in zip(products, plane.places(vectors_of(products)), strict=True)
    ]

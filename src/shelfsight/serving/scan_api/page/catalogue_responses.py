"""The bodies of the responses under `/catalogue`."""

import numpy as np
from numpy.typing import NDArray

from shelfsight.images.location import location
from shelfsight.serving.scan_api.page.map2d import Plane
from shelfsight.serving.scan_api.responses import ResponseModel
from shelfsight.storage.search.sample import CatalogueCounts, SampledProduct


class FailureCountResponse(ResponseModel):
    """The number of products that have a failure of this kind, and an example."""

    kind: str
    products: int
    example: str


class CatalogueStateResponse(ResponseModel):
    """Counts of products: all, those with a vector of each kind, and those that are due."""

    products: int
    embedded: int
    image: int
    text: int
    combined: int
    due: int
    failures: list[FailureCountResponse]


class MapPoint(ResponseModel):
    """The coordinates of a point on the map."""

    x: float
    y: float


class ProductOnMap(MapPoint):
    """A product and its coordinates on the map."""

    id: str
    title: str
    image_url: str | None


class MapResponse(ResponseModel):
    """A map of the catalogue in two dimensions.

    `explained` is the share of the variance that the map shows, in [0, 1]. `count` products have an
    image vector; `products` is a sample of these. Points of maps with different `version` cannot be
    compared.
    """

    version: str
    explained: float
    count: int
    products: list[ProductOnMap]


class ScanOnMapResponse(ResponseModel):
    """A scan on the map `version`: the points of its matches, and of its photo if it has one."""

    version: str
    photo: MapPoint | None
    products: list[ProductOnMap]


def state_response(counts: CatalogueCounts, due: int) -> CatalogueStateResponse:
    """Convert counts to the response format."""
    return CatalogueStateResponse(
        products=counts.products,
        embedded=counts.embedded,
        image=counts.image,
        text=counts.text,
        combined=counts.combined,
        due=due,
        failures=[
            FailureCountResponse(kind=kind, products=products, example=example)
            for kind, products, example in counts.failures
        ],
    )


def vectors_of(products: list[SampledProduct]) -> NDArray[np.float32]:
    """Return the image vectors of products, in an array of shape (n, 768)."""
    return np.array([product.vector for product in products], np.float32)


def products_on_map(
    plane: Plane, products: list[SampledProduct], image_base_url: str | None
) -> list[ProductOnMap]:
    """Project products onto the map; coordinates are rounded to four decimals."""
    if not products:
        return []
    return [
        ProductOnMap(
            id=product.id,
            title=product.title,
            image_url=product.image_url and location(product.image_url, image_base_url),
            x=round(float(x), 4),
            y=round(float(y), 4),
        )
        for product, (x, y) in zip(products, plane.project(vectors_of(products)), strict=True)
    ]

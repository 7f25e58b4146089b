"""The bodies of the responses under `/catalogue`."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shelfsight.images.location import location
from shelfsight.serving.scan_api.page.map2d import Plane
from shelfsight.serving.scan_api.responses import ResponseModel
from shelfsight.storage.search.sample import CatalogueCounts, SampledProduct, Variant


class FailureCountResponse(ResponseModel):
    """The number of products that have a failure of this kind, and an example."""

    kind: str
    products: int
    example: str


class CatalogueStateResponse(ResponseModel):
    """Counts of products: all, those with a vector of each kind, and those that are due.

    `addProductUrl` is the page of the shop where a product is added, if that is known.
    """

    products: int
    embedded: int
    image: int
    text: int
    combined: int
    due: int
    add_product_url: str | None = None
    failures: list[FailureCountResponse]


class VariantResponse(ResponseModel):
    """A variant of a product; `options` are such as size and colour, by name."""

    product_variant_id: str = Field(alias="ProductVariantId")
    sku: str | None
    price: float | None
    options: dict[str, str]


class VariantsResponse(ResponseModel):
    """The variants of products, by the id of the product; `currency` is that of the prices."""

    currency: str | None
    products: dict[str, list[VariantResponse]]


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


def variants_response(variants: list[Variant], currency: str | None) -> VariantsResponse:
    """Convert variants to the response format."""
    products: dict[str, list[VariantResponse]] = {}
    for variant in variants:
        options = {name: str(value) for name, value in variant.options.items() if value}
        products.setdefault(variant.product_id, []).append(
            VariantResponse(
                ProductVariantId=variant.id,
                sku=variant.sku,
                price=None if variant.price is None else float(variant.price),
                options=options,
            )
        )
    return VariantsResponse(currency=currency, products=products)


def state_response(
    counts: CatalogueCounts, due: int, add_product_url: str | None
) -> CatalogueStateResponse:
    """Convert counts to the response format."""
    return CatalogueStateResponse(
        products=counts.products,
        embedded=counts.embedded,
        image=counts.image,
        text=counts.text,
        combined=counts.combined,
        due=due,
        add_product_url=add_product_url,
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

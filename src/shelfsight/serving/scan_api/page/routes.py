"""The routes of the page: its files, and the state, the map and the pictures of the catalogue."""

import asyncio
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from PIL import Image
from pydantic import AfterValidator
from starlette.responses import Response

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.images.decoder.protocol import thumbnail
from shelfsight.images.local_files import is_path, read_below
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import IMAGE_WIDTH, Pixels, Selection
from shelfsight.serving.callers import CALLER
from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.endpoints import json_bytes, json_response
from shelfsight.serving.scan_api.openapi import error_responses
from shelfsight.serving.scan_api.page import map2d, static_files
from shelfsight.serving.scan_api.page.catalogue_responses import (
    CatalogueStateResponse,
    MapPoint,
    MapResponse,
    ScanOnMapResponse,
    VariantsResponse,
    products_on_map,
    state_response,
    variants_response,
    vectors_of,
)
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.serving.scan_api.requests import MAX_LIMIT, without_nul
from shelfsight.serving.scan_api.single_flight import SingleFlightCache
from shelfsight.storage.search.feedback import ShownScan
from shelfsight.storage.search.sample import CatalogueSample, SampledProduct

STATE_TTL = 15.0
MAP_TTL = 300.0
"""Seconds for which the state and the map are cached."""

MAP_SAMPLE = 2_000
"""The number of products on a map: as many dots as the eye can distinguish; 6 MB of vectors."""

MAX_VARIANTS = 500
"""The number of variants in one response."""

THUMBNAIL_SIDE = 320
"""Longest side of a picture, in pixels."""

ProductId = Annotated[str, Path(max_length=200), AfterValidator(without_nul)]
ProductIds = Annotated[
    list[Annotated[str, AfterValidator(without_nul)]],
    Query(alias="productId", min_length=1, max_length=MAX_LIMIT),
]
ScanId = Annotated[str, Query(alias="scanId", max_length=200)]


def router(context: ScanContext) -> APIRouter:
    """Return the routes of the page; routes under `/catalogue` need a key, as the API does."""
    view = CatalogueView(context)
    routes = APIRouter()
    for path, asset in static_files.assets():
        routes.add_api_route(path, asset, include_in_schema=False)
    routes.add_api_route(
        "/catalogue/state",
        view.state,
        responses={200: {"model": CatalogueStateResponse}, **error_responses()},
    )
    routes.add_api_route(
        "/catalogue/map",
        view.map,
        responses={200: {"model": MapResponse}, **error_responses()},
    )
    routes.add_api_route(
        "/catalogue/map/places",
        view.places,
        responses={200: {"model": ScanOnMapResponse}, **error_responses(404, 422)},
    )
    routes.add_api_route(
        "/catalogue/variants",
        view.variants,
        responses={200: {"model": VariantsResponse}, **error_responses(422)},
    )
    routes.add_api_route(
        "/catalogue/picture/{id:path}",
        view.picture,
        responses={200: {"content": {"image/jpeg": {}}}, **error_responses(404, 422)},
    )
    return routes


@dataclass(frozen=True, slots=True, eq=False)
class _FittedMap:
    """A map in JSON, and the plane for projecting further vectors onto that map."""

    plane: map2d.Plane
    version: str
    json: bytes
    is_empty: bool

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.json) + self.plane.nbytes


class CatalogueView:
    """Shows the catalogue to clients, limited to the products of their owner."""

    def __init__(self, context: ScanContext) -> None:
        self._context = context
        self._sample = CatalogueSample(context.database)
        self._catalog = PostgresCatalog(context.database, content=context.config.content)
        self._states: SingleFlightCache[str | None, CatalogueStateResponse] = SingleFlightCache(
            STATE_TTL
        )
        self._maps: SingleFlightCache[str | None, _FittedMap] = SingleFlightCache(
            MAP_TTL, context.config.map_bytes, lambda fitted: fitted.size
        )
        stores = context.metrics.stores
        stores.watch_items("catalogue_states", lambda: self._states.size, self._states.limit)
        stores.watch_bytes("catalogue_maps", lambda: self._maps.size, self._maps.limit)

    async def state(self, request: Request) -> Response:
        """Count products, products with vectors, products that are due, and failures."""
        caller = await self._context.authenticator.authenticate(request)
        read = partial(self._context.threads.run, partial(self._count_state, caller.owner))
        return json_response(await self._states.get(caller.owner, read))

    async def map(self, request: Request) -> Response:
        """Map a sample of image vectors, in the plane that shows most of their variance."""
        caller = await self._context.authenticator.authenticate(request)
        return json_bytes((await self._map(caller.owner)).json)

    async def places(self, request: Request, scan_id: ScanId) -> Response:
        """Find the places of a scan's photo and matches on the map."""
        caller = await self._context.authenticator.authenticate(request)
        scan = self._context.recent.get(scan_id, caller)
        fitted = await self._map(caller.owner)
        work = partial(self._locate_scan, fitted, scan, caller.owner)
        return json_response(await self._context.threads.run(work))

    async def variants(self, request: Request, product_ids: ProductIds) -> Response:
        """Return the variants of products, up to 500 in all."""
        caller = await self._context.authenticator.authenticate(request)
        work = partial(self._sample.variants, caller.owner, product_ids, MAX_VARIANTS)
        variants = await self._context.threads.run(work)
        return json_response(variants_response(variants, self._context.config.currency))

    async def picture(self, request: Request, id: ProductId) -> Response:
        """Return a small JPEG of a product's picture, which must be a file in `IMAGE_ROOT`."""
        caller = await self._context.authenticator.authenticate(request)
        headers = {"Cache-Control": "private, max-age=3600", "Vary": "Authorization"}
        threads = self._context.threads
        try:
            async with self._context.bodies.reserve(CALLER.get()) as room:
                data = await threads.run(partial(self._picture_file, caller.owner, id))
                room.grow(len(data))
                job = thumbnail(THUMBNAIL_SIDE)
                decoding = self._context.decoders.submit(job, data, CALLER.get())
                pixels = (await asyncio.wrap_future(decoding))[0]
        except UnusablePictureError as error:
            raise NotFoundError("picture_unusable", error.failure.message) from None
        jpeg = await threads.run(partial(_jpeg, pixels))
        return Response(jpeg, headers=headers, media_type="image/jpeg")

    async def _map(self, owner: str | None) -> _FittedMap:
        fit_map = partial(self._context.threads.run, partial(self._fit_map, owner))
        fitted = await self._maps.get(owner, fit_map)
        if fitted.is_empty:
            self._maps.forget(owner)
        return fitted

    def _count_state(self, owner: str | None) -> CatalogueStateResponse:
        due = self._catalog.due(Selection(owner=owner)).products
        url = self._context.config.add_product_url
        return state_response(self._sample.counts(owner), due, url)

    def _fit_map(self, owner: str | None) -> _FittedMap:
        products = self._sample.spread(owner, MAP_SAMPLE)
        plane = map2d.fit(vectors_of(products).reshape(-1, IMAGE_WIDTH))
        count = len(products)
        if count == MAP_SAMPLE:
            count = self._sample.counts(owner).image
        response = MapResponse(
            version=plane.version,
            explained=round(plane.explained, 4),
            count=count,
            products=products_on_map(plane, products, self._context.config.image_base_url),
        )
        return _FittedMap(
            plane=plane,
            version=plane.version,
            json=response.model_dump_json(by_alias=True).encode(),
            is_empty=not products,
        )

    def _locate_scan(
        self, fitted: _FittedMap, scan: ShownScan, owner: str | None
    ) -> ScanOnMapResponse:
        shown = [match.product for match in scan.matches]
        found = {p.id: p for p in self._sample.some(owner, [product.id for product in shown])}
        scored = [
            (found[product.id], product.image_score)
            for product in shown
            if product.id in found and product.image_score is not None
        ]
        return ScanOnMapResponse(
            version=fitted.version,
            photo=_photo_point(fitted.plane, scored, scan) if scored else None,
            products=products_on_map(
                fitted.plane,
                [found[product.id] for product in shown if product.id in found],
                self._context.config.image_base_url,
            ),
        )

    def _picture_file(self, owner: str | None, id_: str) -> bytes:
        address = self._sample.picture(owner, id_)
        if address is None or not is_path(address):
            raise NotFoundError("picture_unknown", "there is no such picture in IMAGE_ROOT")
        return read_below(self._context.config.image_root, address)


def _jpeg(pixels: Pixels) -> bytes:
    jpeg = BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()


def _photo_point(
    plane: map2d.Plane, scored: list[tuple[SampledProduct, float]], scan: ShownScan
) -> MapPoint:
    vectors = vectors_of([product for product, _ in scored])
    scores = np.array([score for _, score in scored], np.float32)
    x, y = plane.locate_by_scores(vectors, scores, scan.models)
    return MapPoint(x=round(x, 4), y=round(y, 4))

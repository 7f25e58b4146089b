"""The page, and what it shows of the catalogue: its state, its map, its pictures."""

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
from shelfsight.images.decode import decode
from shelfsight.images.local_files import is_path, read_below
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import IMAGE_WIDTH, Selection
from shelfsight.serving.scan_api.context import ScanService
from shelfsight.serving.scan_api.endpoints import json_answer
from shelfsight.serving.scan_api.openapi import refusals
from shelfsight.serving.scan_api.page import map2d, static_files
from shelfsight.serving.scan_api.page.answers import (
    MapAnswer,
    Place,
    PlacesAnswer,
    StateAnswer,
    placed,
    state_answer,
    vectors_of,
)
from shelfsight.serving.scan_api.page.ttl_cache import TtlCache
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.serving.scan_api.requests import without_nul
from shelfsight.storage.search.feedback import ShownScan
from shelfsight.storage.search.sample import CatalogueSample, SampledProduct

STATE_SECONDS = 15.0
MAP_SECONDS = 300.0

MAP_SAMPLE = 2_000
"""Products a map is drawn of: 6 MB of vectors, and as many dots as an eye can tell apart."""

THUMBNAIL = 320
"""Longest side of a picture that is shown, in pixels."""

ProductId = Annotated[str, Path(max_length=200), AfterValidator(without_nul)]
ScanId = Annotated[str, Query(alias="scanId", max_length=200)]


def router(service: ScanService) -> APIRouter:
    """The routes of the page; those below `/catalogue` need a key as the API does."""
    view = CatalogueView(service)
    routes = APIRouter()
    for path, asset in static_files.assets():
        routes.add_api_route(path, asset, include_in_schema=False)
    routes.add_api_route(
        "/catalogue/state",
        view.state,
        responses={200: {"model": StateAnswer}, **refusals()},
    )
    routes.add_api_route(
        "/catalogue/map",
        view.map,
        responses={200: {"model": MapAnswer}, **refusals()},
    )
    routes.add_api_route(
        "/catalogue/map/places",
        view.places,
        responses={200: {"model": PlacesAnswer}, **refusals(404, 422)},
    )
    routes.add_api_route(
        "/catalogue/picture/{id}",
        view.picture,
        responses={200: {"content": {"image/jpeg": {}}}, **refusals(404, 422)},
    )
    return routes


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    plane: map2d.Plane
    answer: MapAnswer


class CatalogueView:
    """What a caller may see of the catalogue: its owner's products, and no others."""

    def __init__(self, service: ScanService) -> None:
        self._service = service
        self._sample = CatalogueSample(service.database)
        self._catalog = PostgresCatalog(
            service.database, images_per_product=service.config.images_per_product
        )
        self._states: TtlCache[StateAnswer] = TtlCache(service.workers, STATE_SECONDS)
        self._maps: TtlCache[_Map] = TtlCache(service.workers, MAP_SECONDS)

    async def state(self, request: Request) -> Response:
        """Count products, those with vectors, those that are due, and what failed."""
        caller = await self._service.authenticator.of(request)
        read = partial(self._read_state, caller.owner)
        return json_answer(await self._states.get(caller.owner, read))

    async def map(self, request: Request) -> Response:
        """Show image vectors in the plane in which they differ the most."""
        caller = await self._service.authenticator.of(request)
        return json_answer((await self._map(caller.owner)).answer)

    async def places(self, request: Request, scan_id: ScanId) -> Response:
        """Say where on the map a scan's photo and matches lie."""
        caller = await self._service.authenticator.of(request)
        scan = self._service.recent.get(scan_id, caller)
        drawn = await self._map(caller.owner)
        work = partial(self._placed, drawn, scan, caller.owner)
        return json_answer(await self._service.workers.run(work))

    async def picture(self, request: Request, id: ProductId) -> Response:
        """Give a small JPEG of a product's picture that lies in the folder `IMAGE_ROOT`."""
        caller = await self._service.authenticator.of(request)
        work = partial(self._thumbnail, caller.owner, id)
        headers = {"Cache-Control": "private, max-age=3600", "Vary": "Authorization"}
        jpeg = await self._service.workers.run(work)
        return Response(jpeg, headers=headers, media_type="image/jpeg")

    async def _map(self, owner: str | None) -> _Map:
        drawn = await self._maps.get(owner, partial(self._draw, owner))
        if not drawn.answer.products:
            self._maps.forget(owner)
        return drawn

    def _read_state(self, owner: str | None) -> StateAnswer:
        due = self._catalog.due(Selection(owner=owner)).products
        return state_answer(self._sample.counts(owner), due)

    def _draw(self, owner: str | None) -> _Map:
        products = self._sample.spread(owner, MAP_SAMPLE)
        plane = map2d.fit(vectors_of(products).reshape(-1, IMAGE_WIDTH))
        count = len(products)
        if count == MAP_SAMPLE:
            count = self._sample.counts(owner).image
        answer = MapAnswer(
            version=plane.version,
            explained=round(plane.explained, 4),
            count=count,
            products=placed(plane, products),
        )
        return _Map(plane, answer)

    def _placed(self, drawn: _Map, scan: ShownScan, owner: str | None) -> PlacesAnswer:
        seen = [match.product for match in scan.matches]
        found = {p.id: p for p in self._sample.some(owner, [product.id for product in seen])}
        scored = [
            (found[product.id], product.image_score)
            for product in seen
            if product.id in found and product.image_score is not None
        ]
        return PlacesAnswer(
            version=drawn.answer.version,
            photo=_photo(drawn.plane, scored, scan) if scored else None,
            products=placed(drawn.plane, [found[one.id] for one in seen if one.id in found]),
        )

    def _thumbnail(self, owner: str | None, id_: str) -> bytes:
        address = self._sample.picture(owner, id_)
        if address is None or not is_path(address):
            raise NotFoundError("picture_unknown", "there is no such picture in IMAGE_ROOT")
        try:
            picture = decode(read_below(self._service.config.image_root, address))
        except UnusablePictureError as error:
            raise NotFoundError("picture_unusable", error.failure.message) from None
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        jpeg = BytesIO()
        picture.save(jpeg, "JPEG", quality=85)
        return jpeg.getvalue()


def _photo(
    plane: map2d.Plane, scored: list[tuple[SampledProduct, float]], scan: ShownScan
) -> Place:
    vectors = vectors_of([product for product, _ in scored])
    scores = np.array([score for _, score in scored], np.float32)
    x, y = plane.place_by_scores(vectors, scores, scan.models)
    return Place(x=round(x, 4), y=round(y, 4))

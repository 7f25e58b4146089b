"""What each endpoint of `shelfsight serve` does with a request."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AfterValidator, BaseModel
from starlette.responses import JSONResponse, Response

from shelfsight.embedding.text import product_text
from shelfsight.images.download import Downloader
from shelfsight.scan.matching import Filters, GroupBy, ScanOptions
from shelfsight.serving import request_body
from shelfsight.serving.limits import CapacityLimit
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.scan_api import scan_body
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.context import ScanService
from shelfsight.serving.scan_api.health import HealthCheck
from shelfsight.serving.scan_api.photo_input import PhotoReader, sources
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.serving.scan_api.quick_scan import QuickScan, Scan
from shelfsight.serving.scan_api.requests import MAX_LIMIT, FeedbackBody, ScanBody, without_nul
from shelfsight.serving.scan_api.responses import FeedbackAnswer, found_answer

ProductId = Annotated[str, Path(max_length=200), AfterValidator(without_nul)]


class ScanEndpoints:
    """The endpoints of one server; `photos` must be open while they are used."""

    def __init__(self, service: ScanService, health: HealthCheck) -> None:
        self._service = service
        self._health = health
        config = service.config
        downloader = Downloader(config.private_hosts, config.fetch_limits)
        self.photos = PhotoReader(downloader, service.read_photo, service.workers, service.metrics)
        self._quick = QuickScan(service, self.photos)
        self._bodies = CapacityLimit(config.limits.waiting_bytes)
        self._waiting = CapacityLimit(config.limits.waiting_pictures)

    async def scan(self, request: Request) -> Response:
        """Find the products that photos show, words describe, or both.

        A photo is `imageUrl`, `imageBase64`, one of `images`, or a file of a form; a form's
        `filters`, `weights` and `images` are JSON.
        """
        service = self._service
        caller = await service.authenticator.of(request)
        size = request_body.declared_size(request, service.config.limits)
        if caller.id is not None:
            service.rate_limiter.body(caller.id, size)
        with self._bodies.reserve(size):
            asked, files = await scan_body.read(request, service.config.limits)
            scan = _scan_query(asked, files, caller)
            with self._waiting.reserve(max(1, len(scan.photos))):
                async with asyncio.timeout(service.config.seconds):
                    return json_answer(await self._quick.answer(scan))

    async def similar(
        self,
        request: Request,
        id: ProductId,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 10,
        threshold: Annotated[float | None, Query(ge=-1, le=1, allow_inf_nan=False)] = None,
        group_by: Annotated[GroupBy, Query(alias="groupBy")] = "variant",
    ) -> Response:
        """Find products like a stored one."""
        caller = await self._service.authenticator.of(request)
        options = ScanOptions(
            limit=limit,
            threshold=threshold,
            group_by=group_by,
            filters=Filters(owner=caller.owner),
        )
        async with asyncio.timeout(self._service.config.seconds):
            work = partial(self._service.scanner.similar, id, options)
            found = await self._service.workers.run(work)
        if found is None:
            raise NotFoundError("product_unknown", "there is no such product with vectors")
        return json_answer(found_answer(found))

    async def feedback(self, request: Request) -> Response:
        """Keep that a match was right or wrong, or that none was right, with the scores shown."""
        caller = await self._service.authenticator.of(request)
        said = await request_body.read(request, self._service.config.limits, FeedbackBody)
        scan = self._service.recent.get(said.scan_id, caller)
        product = said.product_variant_id
        if product is not None and product not in {match.product.id for match in scan.matches}:
            raise RequestRefusedError(
                "not_a_match", "productVariantId: this product was not among the scan's matches"
            )
        work = partial(self._service.feedback.save, scan, said.verdict, product)
        await self._service.workers.run(work)
        kept = FeedbackAnswer(scan_id=scan.id, verdict=said.verdict, product_variant_id=product)
        return json_answer(kept, 201)

    async def health(self) -> Response:
        """Tell which models are used, and whether they and the database are well: 200, or 503."""
        health = await self._health.check()
        return json_answer(health, 503 if health.problems else 200)

    async def ready(self) -> Response:
        """Whether scans are answered now: 200, or 503."""
        ready = not (await self._health.check()).problems
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Everything that is counted and timed, for Prometheus; asks for an admin's key."""
        await self._service.authenticator.admin(request)
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4")


def json_answer(value: BaseModel, status: int = 200) -> Response:
    """Write one of the wire's shapes, which no cache keeps."""
    content = value.model_dump_json(by_alias=True)
    headers = {"Cache-Control": "no-store"}
    return Response(content, status, headers, media_type="application/json")


def _scan_query(asked: ScanBody, files: tuple[bytes, ...], caller: Caller) -> Scan:
    """What is asked, among the products that this caller may see.

    Raises:
        RequestRefusedError: there is no question, or it is for another owner's products.
    """
    text = (asked.text_query or "").strip() or None
    photos = sources(asked, files)
    if text is not None and not product_text(text, ""):
        raise RequestRefusedError("bad_request", "textQuery: there are no words in it")
    if not photos and text is None:
        raise RequestRefusedError(
            "bad_request", "give imageUrl, imageBase64, images, a file, or textQuery"
        )
    owner = caller.owner_to_search(asked.filters.owner)
    return Scan(
        photos=photos, text=text, combine=asked.combine_images, options=asked.options(owner)
    )

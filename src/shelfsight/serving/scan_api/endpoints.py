"""The endpoints of `shelfsight serve`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AfterValidator, BaseModel
from starlette.responses import Response, StreamingResponse

from shelfsight.embedding.text import product_text
from shelfsight.images.box_proposals import JOB as BOXES_JOB
from shelfsight.images.box_proposals import propose_boxes
from shelfsight.images.download import Downloader
from shelfsight.images.hosts import CACHED_HOSTS
from shelfsight.images.names import CACHED_NAMES
from shelfsight.records import Vector
from shelfsight.scan.matching import Filters, GroupBy, ScanOptions
from shelfsight.serving import request_body
from shelfsight.serving.callers import CALLER
from shelfsight.serving.fair_capacity import Reservation
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.scan_api import scan_body
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.health import HealthCheck
from shelfsight.serving.scan_api.photo_input import PhotoReader, photo_sources
from shelfsight.serving.scan_api.problems import NotFoundError, details_of
from shelfsight.serving.scan_api.quick_scan import QuickScan, ScanTask
from shelfsight.serving.scan_api.rate_limits import MAX_COUNTERS
from shelfsight.serving.scan_api.requests import MAX_LIMIT, FeedbackBody, ScanBody, without_nul
from shelfsight.serving.scan_api.responses import (
    FeedbackResponse,
    PhotoResultResponse,
    ScanProgress,
    ScanResponse,
    WhyNotConfirmed,
    boxes_response,
    matches_response,
)
from shelfsight.serving.scan_api.scan_models import scan_with
from shelfsight.storage.search.feedback import ShownScan

FEEDBACK_BYTES = 10_000
"""The largest body of a verdict: two texts of 500 characters, each escaped as six bytes."""

ProductId = Annotated[str, Path(max_length=200), AfterValidator(without_nul)]


class ScanEndpoints:
    """The endpoints of one server; `photos` must be open while they serve requests."""

    def __init__(self, context: ScanContext, health: HealthCheck) -> None:
        self._context = context
        self._health = health
        config = context.config
        downloader = Downloader(config.private_hosts, config.fetch_limits)
        self.photos = PhotoReader(downloader, context.threads, context.metrics)
        self._quick_scan = QuickScan(context, self.photos)
        _watch_stores(context, downloader)

    async def scan(self, request: Request) -> Response:
        """Find the products that photos show, words describe, or both.

        Photos are sent as `imageUrl`, as `imageBase64`, as `images`, or as files of a form. In a
        form, the fields `filters`, `weights` and `images` contain JSON.
        """
        caller = await self._context.authenticator.authenticate(request)
        async with self._task(request, caller) as (task, room):
            async with asyncio.timeout(self._context.config.seconds):
                return json_response(await self._quick_scan.run(task, room))

    async def scan_stream(self, request: Request) -> Response:
        """Scan as above, and send each photo's result as soon as it is there.

        The response has server-sent events: `progress` with `done` and `total`, `photo` with the
        result of a photo, and at the end `end` with the whole response, or `error` with a problem.
        """
        caller = await self._context.authenticator.authenticate(request)
        events = self._events(request, caller)
        first = await anext(events)  # whatever refuses the request does so here
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            _continued(first, events), headers=headers, media_type="text/event-stream"
        )

    async def _events(self, request: Request, caller: Caller) -> AsyncGenerator[bytes, None]:
        seconds = self._context.config.seconds
        async with self._task(request, caller) as (task, room):
            yield _event("progress", ScanProgress(done=0, total=len(task.groups)))
            try:
                async for part in self._quick_scan.stream(task, room, seconds):
                    yield _event(_EVENTS[type(part)], part)
            except Exception as error:  # the response has begun, so that no handler can tell of it
                problem, _ = details_of(error)
                self._context.metrics.count_error(problem.type.rpartition(":")[2])
                yield _event("error", problem)
                if problem.status == 500:
                    raise

    @asynccontextmanager
    async def _task(
        self, request: Request, caller: Caller
    ) -> AsyncIterator[tuple[ScanTask, Reservation]]:
        """Read a scan from a request, and hold room for it and its photos."""
        context = self._context
        async with context.bodies.reserve(CALLER.get()) as room:
            if caller.id is not None:
                announced = request_body.announced_size(request)
                context.rate_limiter.check_body(caller.id, announced)
            body, files = await scan_body.read(request, context.config.limits, room)
            if caller.id is not None:
                context.rate_limiter.count_body(caller.id, room.size)
            task = _scan_task(body, files, caller)
            async with context.waiting.reserve(CALLER.get(), max(1, len(task.photos))):
                yield task, room

    async def boxes(self, request: Request) -> Response:
        """Propose a box around each thing in a photo, to scan each with `box`.

        The body is that of a scan with one photo; its other fields have no effect. Things are told
        apart if there is a little space between them.
        """
        caller = await self._context.authenticator.authenticate(request)
        async with self._task(request, caller) as (task, room):
            if len(task.photos) != 1:
                raise RequestRefusedError("bad_request", "give one photo")
            read = partial(self._context.decoders.submit_photo, BOXES_JOB)
            async with asyncio.timeout(self._context.config.seconds):
                photo = await self.photos.read(task.photos[0], read, room.grow)
                found = await self._context.threads.run(partial(propose_boxes, photo.photo[0]))
        within = task.photos[0].box
        return json_response(boxes_response(within.outward(box) for box in found))

    async def similar(
        self,
        request: Request,
        id: ProductId,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 10,
        threshold: Annotated[float | None, Query(ge=-1, le=1, allow_inf_nan=False)] = None,
        group_by: Annotated[GroupBy, Query(alias="groupBy")] = "variant",
    ) -> Response:
        """Find products similar to a stored product, without that product itself."""
        caller = await self._context.authenticator.authenticate(request)
        options = ScanOptions(
            limit=limit,
            threshold=threshold,
            group_by=group_by,
            filters=Filters(owner=caller.owner),
        )
        async with asyncio.timeout(self._context.config.seconds):
            run = self._context.threads.run
            found = await scan_with(
                self._context.models, lambda used: run(partial(used.scanner.similar, id, options))
            )
        if found is None:
            raise NotFoundError("product_unknown", "there is no such product with vectors")
        return json_response(matches_response(found, self._context.config.addresses))

    async def feedback(self, request: Request) -> Response:
        """Store a verdict on a scan, with the scores that were shown.

        The verdict is that a match is right, that a match is wrong, or that no match is right. The
        photo of a match that is right becomes a reference of its product.
        """
        caller = await self._context.authenticator.authenticate(request)
        limits = replace(self._context.config.limits, body_bytes=FEEDBACK_BYTES)
        async with self._context.bodies.reserve(CALLER.get()) as room:
            body = await request_body.read(request, limits, room, FeedbackBody)
        scan = self._context.recent.get(body.scan_id, caller)
        product = body.product_variant_id
        if product is not None and product not in {match.product.id for match in scan.matches}:
            raise RequestRefusedError(
                "not_a_match", "productVariantId: this product was not among the scan's matches"
            )
        photos = scan.photos.get(product, ()) if product and caller.may_confirm else ()
        work = partial(self._context.feedback.save, scan, body.verdict, product, photos)
        confirmed = await self._context.threads.run(work)
        response = FeedbackResponse(
            scan_id=scan.id,
            verdict=body.verdict,
            product_variant_id=product,
            confirmed_photos=confirmed,
            why_not_confirmed=None
            if confirmed or body.verdict != "right"
            else self._why_not_confirmed(scan, caller, photos),
        )
        return json_response(response, 201)

    def _why_not_confirmed(
        self, scan: ShownScan, caller: Caller, photos: Sequence[Vector]
    ) -> WhyNotConfirmed:
        if scan.query_kind == "text":
            return "no_photo"
        if not self._context.config.confirms_photos:
            return "off"
        if not caller.may_confirm:
            return "not_allowed"
        return "product_gone" if photos else "no_photo"

    async def health(self) -> Response:
        """Report whether a restart would help: 503 if so, else 200."""
        health = await self._health.health()
        return json_response(health, 503 if health.problems else 200)

    async def ready(self) -> Response:
        """Report whether scans can be answered now: 200, or else 503 and what is wrong."""
        readiness = await self._health.ready()
        return json_response(readiness, 200 if readiness.ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Report all metrics in the text format of Prometheus.

        Once a key exists, this needs the key of an admin.
        """
        await self._context.authenticator.authenticate_admin(request)
        return Response(
            await self._context.metrics.scrape(), media_type="text/plain; version=0.0.4"
        )


def _watch_stores(context: ScanContext, downloader: Downloader) -> None:
    """Report what the endpoints keep in memory, each store with its bound."""
    stores = context.metrics.stores
    stores.watch_bytes("bodies", lambda: context.bodies.held, context.bodies.capacity)
    stores.watch_bytes("recent_scans", lambda: context.recent.bytes, context.recent.max_bytes)
    stores.watch_items("waiting_photos", lambda: context.waiting.held, context.waiting.capacity)
    stores.watch_items("rate_limits", context.rate_limiter.__len__, MAX_COUNTERS)
    stores.watch_items("hosts", lambda: downloader.known_hosts, CACHED_HOSTS)
    stores.watch_items("host_names", lambda: downloader.known_names, CACHED_NAMES)
    stores.watch_items(
        "decoders", lambda: context.decoders.processes, context.decoders.max_processes
    )


_EVENTS: Mapping[type[BaseModel], str] = {
    PhotoResultResponse: "photo",
    ScanProgress: "progress",
    ScanResponse: "end",
}
"""The name of the event that each part of a stream is sent as."""


def _event(name: str, data: BaseModel) -> bytes:
    """Return a server-sent event; JSON has no line breaks, so its data is one line."""
    return f"event: {name}\ndata: {data.model_dump_json(by_alias=True)}\n\n".encode()


async def _continued(
    first: bytes, events: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


def json_response(value: BaseModel, status: int = 200) -> Response:
    """Return a JSON response of a pydantic model that no cache may store."""
    return json_bytes(value.model_dump_json(by_alias=True).encode(), status)


def json_bytes(content: bytes, status: int = 200) -> Response:
    """Return a JSON response that no cache may store."""
    headers = {"Cache-Control": "no-store"}
    return Response(content, status, headers, media_type="application/json")


def _scan_task(body: ScanBody, files: tuple[bytes, ...], caller: Caller) -> ScanTask:
    """Validate a request, and limit its search to the products that the client may see.

    Raises:
        RequestRefusedError: the request has no photo and no words, or names another owner.
    """
    text = (body.text_query or "").strip() or None
    photos = photo_sources(body, files)
    if text is not None and not product_text(text, ""):
        raise RequestRefusedError("bad_request", "textQuery: there are no words in it")
    if not photos and text is None:
        raise RequestRefusedError(
            "bad_request", "give imageUrl, imageBase64, images, a file, or textQuery"
        )
    owner = caller.owner_to_search(body.filters.owner)
    return ScanTask(
        photos=photos,
        text=text,
        combine=body.combine_images,
        options=body.options(owner),
        ignored=tuple(body.ignored),
    )

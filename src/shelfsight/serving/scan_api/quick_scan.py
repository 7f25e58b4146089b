"""Processes a scan request: reads the photos, searches for each, and combines the results."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Modality, PhotoNote
from shelfsight.scan.matching import (
    Filters,
    ScanOptions,
    ScanQuery,
    ScanResult,
    WhyNothing,
)
from shelfsight.serving.fair_capacity import Reservation
from shelfsight.serving.scan_api.addresses import AddressFormat
from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.photo_input import DecodedPhoto, PhotoReader, PhotoSource
from shelfsight.serving.scan_api.problems import picture_problem
from shelfsight.serving.scan_api.responses import (
    NO_MATCHES,
    PhotoResultResponse,
    ScanProgress,
    ScanResponse,
    SourceType,
    combine_results,
    matches_response,
    merge_matches,
)
from shelfsight.serving.scan_api.scan_models import LoadedModels, scan_with

_EMPTY_CATALOGUE = "no product has vectors yet; run: shelfsight backfill"

HINTS: Mapping[WhyNothing, str] = {
    WhyNothing.NO_PRODUCTS: _EMPTY_CATALOGUE,
    WhyNothing.NOT_EMBEDDED: _EMPTY_CATALOGUE,
    WhyNothing.NO_IMAGES: "no product has an image vector; see why: shelfsight failures",
    WhyNothing.NO_TEXTS: "no product has a text vector, so words find nothing; scan a photo",
}
"""What the response says about an empty result, unless no product is similar enough."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTask:
    """A validated scan request: photos, words or both.

    With `combine`, all photos must show the same thing, and are searched for together. Otherwise
    each photo is searched for separately.
    """

    photos: tuple[PhotoSource, ...]
    text: str | None
    combine: bool
    options: ScanOptions
    ignored: tuple[str, ...] = ()

    @property
    def groups(self) -> list[tuple[int, tuple[PhotoSource, ...]]]:
        """The photos that are searched for together, each with the position of the first."""
        if self.photos and not self.combine:
            return [(index, (source,)) for index, source in enumerate(self.photos)]
        return [(0, self.photos)]

    @property
    def kind(self) -> Modality:
        """Whether the request has photos ("image"), words ("text") or both ("combined")."""
        if not self.photos:
            return "text"
        return "combined" if self.text else "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoResult:
    """The result of one photo, of several photos together, or of words: matches or an error.

    `index` is the position of the photo in the request, or of the first of several photos.
    """

    index: int
    kind: SourceType
    seconds: float
    scan_result: ScanResult = NO_MATCHES
    notes: tuple[PhotoNote, ...] = ()
    error: UnusablePictureError | None = None


class QuickScan:
    """Processes scan requests."""

    def __init__(self, context: ScanContext, photos: PhotoReader) -> None:
        self._context = context
        self._photos = photos

    async def run(self, task: ScanTask, room: Reservation) -> ScanResponse:
        """Search for all photos at the same time, and return the combined response.

        `room` grows by the bytes of photos that are downloaded.

        A photo that fails gets its own error in the response. If it is the only photo, its error is
        raised.

        Raises:
            UnusablePictureError: the only photo cannot be fetched or decoded.
            FullError: the bodies and photos of other requests use the memory for them now.
            ShelfsightError: as in `Scanner.scan`.
        """
        return await scan_with(self._context.models, partial(self._run, task, room))

    async def _run(self, task: ScanTask, room: Reservation, used: LoadedModels) -> ScanResponse:
        started = perf_counter()
        by_group = await _gather(
            self._scan_group(task, room, used, *group) for group in task.groups
        )
        results = [result for group in by_group for result in group]
        if len(task.photos) == 1 and results[0].error is not None:
            raise results[0].error
        return await self._response(task, results, started, used)

    async def stream(
        self, task: ScanTask, room: Reservation, seconds: float
    ) -> AsyncGenerator[PhotoResultResponse | ScanProgress | ScanResponse, None]:
        """Search as `run` does; yield each result as soon as it is there, and last the response.

        A photo that fails gets its own error also if it is the only one.

        Raises:
            TimeoutError: the scan takes more than so many seconds.
            FullError: as in `run`.
            ShelfsightError: as in `run`.
        """
        started = perf_counter()
        addresses, models = self._context.config.addresses, self._context.models

        async def scan(index: int, photos: tuple[PhotoSource, ...]) -> list[PhotoResult]:
            return await scan_with(
                models, lambda used: self._scan_group(task, room, used, index, photos)
            )

        scans = [asyncio.create_task(scan(*group)) for group in task.groups]
        results: list[PhotoResult] = []
        try:
            for done, ended in enumerate(asyncio.as_completed(scans, timeout=seconds), start=1):
                for result in await ended:
                    results.append(result)
                    yield _result_response(result, addresses)
                yield ScanProgress(done=done, total=len(scans))
        finally:
            for pending in scans:
                pending.cancel()
        results.sort(key=lambda result: result.index)
        async with asyncio.timeout(seconds):
            response = await self._response(task, results, started, models.current)
        yield response

    async def _response(
        self, task: ScanTask, results: list[PhotoResult], started: float, used: LoadedModels
    ) -> ScanResponse:
        for result in results:
            self._count(task, result)
        options = task.options
        scan_results = [result.scan_result for result in results if result.error is None]
        combined = combine_results(scan_results, options.limit, options.group_by)
        shown = merge_matches(scan_results, "variant")
        owner, models = options.filters.owner, used.embedder.models
        addresses = self._context.config.addresses
        response = matches_response(combined, addresses)
        response.hint = None if combined.matches else await self._hint(task, used)
        return ScanResponse(
            **dict(response),
            overall_confidence=response.confidence,
            ignored=list(task.ignored),
            scan_id=self._context.recent.add(
                owner,
                task.kind,
                models,
                shown,
                scan_results if self._context.config.confirms_photos else (),
            ),
            results=[_result_response(result, addresses) for result in results],
            total_processing_time_ms=_milliseconds(perf_counter() - started),
        )

    async def _scan_group(
        self,
        task: ScanTask,
        room: Reservation,
        used: LoadedModels,
        first: int,
        sources: tuple[PhotoSource, ...],
    ) -> list[PhotoResult]:
        """Search for several photos together; return their result, and one error per failed photo.

        `first` is the position of the first photo in the request.
        """
        started = perf_counter()
        photos_read = await _gather(self._read(source, room, used) for source in sources)
        failed = [
            PhotoResult(
                index=first + offset,
                kind="image",
                seconds=perf_counter() - started,
                error=photo,
            )
            for offset, photo in enumerate(photos_read)
            if isinstance(photo, UnusablePictureError)
        ]
        decoded = [photo for photo in photos_read if not isinstance(photo, UnusablePictureError)]
        if failed and not decoded:
            return failed
        photos = tuple(photo.photo for photo in decoded)
        notes = tuple({note for photo in decoded for note in photo.notes})
        codes = tuple(code for photo in decoded for code in photo.codes)
        scan_query = ScanQuery(photos=photos, text=task.text, codes=codes)
        work = partial(used.scanner.scan, scan_query, task.options)
        found = await self._context.threads.run(work)
        kind: SourceType = "image" if sources else "text"
        seconds = perf_counter() - started
        result = PhotoResult(
            index=first, kind=kind, seconds=seconds, scan_result=found, notes=notes
        )
        return [result, *failed]

    async def _read(
        self, source: PhotoSource, room: Reservation, used: LoadedModels
    ) -> DecodedPhoto | UnusablePictureError:
        try:
            return await self._photos.read(source, used.read_photo, room.grow)
        except UnusablePictureError as error:
            return error

    async def _hint(self, task: ScanTask, used: LoadedModels) -> str | None:
        why_nothing = partial(
            used.scanner.why_nothing,
            Filters(owner=task.options.filters.owner),
            photo=bool(task.photos),
            text=task.text is not None,
        )
        return HINTS.get(await self._context.threads.run(why_nothing))

    def _count(self, task: ScanTask, result: PhotoResult) -> None:
        metrics, scan_result = self._context.metrics, result.scan_result
        if result.error is not None:
            metrics.count_error(result.error.failure.kind)
        else:
            confidence = scan_result.confidence if scan_result.matches else "none"
            metrics.count_scan(task.kind, confidence)


def _result_response(result: PhotoResult, addresses: AddressFormat) -> PhotoResultResponse:
    return PhotoResultResponse(
        **dict(matches_response(result.scan_result, addresses)),
        source_index=result.index,
        source_type=result.kind,
        notes=list(result.notes),
        error=None if result.error is None else picture_problem(result.error.failure),
        processing_time_ms=_milliseconds(result.seconds),
    )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)


async def _gather(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently; the first error cancels the others and is raised unchanged."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]

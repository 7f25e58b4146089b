"""The path of a request: photos are read, each is looked for, the best are put together."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Modality
from shelfsight.scan.matching import Filters, Photo, ScanOptions, ScanQuery, ScanResult
from shelfsight.serving.scan_api.context import ScanService
from shelfsight.serving.scan_api.photo_input import PhotoReader, Source
from shelfsight.serving.scan_api.problems import picture_problem
from shelfsight.serving.scan_api.responses import (
    NOTHING,
    ResultAnswer,
    ScanAnswer,
    SourceType,
    best_of,
    found_answer,
    merged,
)

EMPTY = "no product has vectors yet; run: shelfsight backfill"

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A question: photos that show several things, or, with `combine`, one thing; and words."""

    photos: tuple[Source, ...]
    text: str | None
    combine: bool
    options: ScanOptions

    @property
    def kind(self) -> Modality:
        """What the question is made of."""
        if not self.photos:
            return "text"
        return "combined" if self.text else "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoResult:
    """What came of one photo, of several together, or of words: matches, or an error."""

    index: int
    kind: SourceType
    seconds: float
    found: ScanResult = NOTHING
    error: UnusablePictureError | None = None


class QuickScan:
    """Answers scans."""

    def __init__(self, service: ScanService, photos: PhotoReader) -> None:
        self._service = service
        self._photos = photos

    async def answer(self, scan: Scan) -> ScanAnswer:
        """Look for everything at once. A photo that fails among several fails alone.

        Raises:
            UnusablePictureError: the only photo cannot be had or read.
            ShelfsightError: as `Scanner.scan` does.
        """
        began = perf_counter()
        single = [(place, (source,)) for place, source in enumerate(scan.photos)]
        groups = single if scan.photos and not scan.combine else [(0, scan.photos)]
        looked = [
            one
            for group in await _all(self._look(scan, *group) for group in groups)
            for one in group
        ]
        if len(scan.photos) == 1 and looked[0].error is not None:
            raise looked[0].error
        for one in looked:
            self._count(scan, one)
        options, founds = scan.options, [one.found for one in looked if one.error is None]
        best = best_of(founds, options.limit, options.group_by)
        seen = merged(founds, "variant")
        owner, models = options.filters.owner, self._service.embedder.models
        said = found_answer(best)
        said.hint = None if best.matches else await self._hint(owner)
        return ScanAnswer(
            **dict(said),
            scan_id=self._service.recent.add(owner, scan.kind, models, seen),
            results=[_result(one) for one in looked],
            total_processing_time_ms=_milliseconds(perf_counter() - began),
        )

    async def _look(self, scan: Scan, first: int, sources: tuple[Source, ...]) -> list[PhotoResult]:
        """Look for what the photos show together; then come those of them that failed."""
        began = perf_counter()
        read = await _all(self._read(source) for source in sources)
        kinds = {source.kind for source in sources} or {"text"}
        failed = [
            PhotoResult(
                index=first + place,
                kind=sources[place].kind,
                seconds=perf_counter() - began,
                error=outcome,
            )
            for place, outcome in enumerate(read)
            if isinstance(outcome, UnusablePictureError)
        ]
        photos = tuple(photo for photo in read if not isinstance(photo, UnusablePictureError))
        if failed and not photos:
            return failed
        scan_query = ScanQuery(photos=photos, text=scan.text)
        work = partial(self._service.scanner.scan, scan_query, scan.options)
        found = await self._service.workers.run(work)
        kind: SourceType = "combined" if len(sources) > 1 else kinds.pop()
        seconds = perf_counter() - began
        return [PhotoResult(index=first, kind=kind, seconds=seconds, found=found), *failed]

    async def _read(self, source: Source) -> Photo | UnusablePictureError:
        try:
            return await self._photos.read(source)
        except UnusablePictureError as error:
            return error

    async def _hint(self, owner: str | None) -> str | None:
        work = partial(self._service.scanner.is_empty, Filters(owner=owner))
        return EMPTY if await self._service.workers.run(work) else None

    def _count(self, scan: Scan, one: PhotoResult) -> None:
        if one.error is None:
            sure = one.found.confidence if one.found.matches else "none"
            self._service.metrics.scanned(scan.kind, sure)
        else:
            self._service.metrics.refused(one.error.failure.kind)


def _result(one: PhotoResult) -> ResultAnswer:
    return ResultAnswer(
        **dict(found_answer(one.found)),
        source_index=one.index,
        source_type=one.kind,
        error=None if one.error is None else picture_problem(one.error.failure),
        processing_time_ms=_milliseconds(one.seconds),
    )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)


async def _all(work: Iterable[Coroutine[Any, Any, Outcome]]) -> list[Outcome]:
    """Do all at once; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]

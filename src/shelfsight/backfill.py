"""The path of every product, from the shop's tables to its stored vectors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from operator import attrgetter
from threading import Event

from shelfsight.progress import Progress
from shelfsight.records import Embedded, ModelPair, Pictured, Product
from shelfsight.report import Report
from shelfsight.runs import Cut, Job, Lease, Page, Run, each, marked
from shelfsight.seams import Catalog, ImageFetcher, Ledger, VectorStore
from shelfsight.stage import in_order, placed, stage, stage_past_stuck

EmbedPage = Callable[[Sequence[Pictured]], list[Embedded]]

FETCHED_AHEAD = 3_000
"""Products whose pictures are fetched at a time once a host has held up a page: to embed them
should take as long as a picture takes at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where a backfill begins and where it ends, and its ledger; `models` make the vectors."""

    catalog: Catalog
    models: ModelPair
    store: VectorStore
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Ends):
    """What a backfill is made of. `embed` turns a page into vectors made by `models`."""

    fetcher: ImageFetcher
    embed: EmbedPage


def backfill(parts: Parts, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Give every chosen product its vectors, and count them in `report` as they are stored.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, the page that is being
    embedded is still stored. What was stored stays, whatever is raised.

    Raises:
        ShelfsightError: the run cannot go on; a product's own failure does not raise.
    """
    run = begin(parts, job, report, progress)
    drain(parts, run, report, progress, stop)
    parts.ledger.close(run)


def drain(parts: Parts, run: Run, report: Report, progress: Progress, stop: Event) -> None:
    """Work on a run until nothing is left of it to anybody, or `stop` is set; see `backfill`."""
    embed = partial(_embed, parts.embed, progress, count(1))

    with parts.ledger.leases(run, stop, progress.say) as leases:
        pages = _pages(parts.catalog, run.job, leases)
        for saved in flow(parts, pages, embed, stop, _pages_ahead(run.job)):
            if saved:
                report.add(saved)
                progress.stored(saved)
    report.interrupted = stop.is_set()


def flow(
    parts: Parts, pages: Iterable[Page[Product]], embed: EmbedPage, stop: Event, ahead: int = 2
) -> Iterator[list[Embedded]]:
    """What was stored of each page, in order: nothing where it was lost to another worker.

    While a picture holds up its page, `ahead` pages are fetched at a time, and embedded before it.
    """
    pictured = stage_past_stuck(each(parts.fetcher.fetch), pages, most=ahead, stop=stop)
    embed_placed = placed(each(partial(_with_files, embed)))
    embedded = in_order(stage(embed_placed, pictured, depth=2, stop=stop))
    return stage(partial(_save, parts), embedded)


def _with_files(embed: EmbedPage, page: Sequence[Pictured]) -> list[Embedded]:
    """A page embedded, with the files of the images: which of them, the embedding has shown."""
    embedded = zip(page, embed(page), strict=True)
    return [replace(item, files=pictured.files) for pictured, item in embedded]


def begin(ends: Ends, job: Job, report: Report, progress: Progress) -> Run:
    """Begin a run, or join the one of this job; what is left of it is what `report` is about.

    Raises:
        ShelfsightError: the vectors would not fit those that are stored.
    """
    ends.store.require(ends.models, replace=not job.selection.skip_existing)
    report.recombined = ends.store.recombine()

    def cut() -> Cut:
        return ends.catalog.cut(job.selection, job.grain, job.limit).merged(job)

    run, is_joined = ends.ledger.begin(job, ends.models, cut)
    report.due = run.due - run.done
    if is_joined:
        progress.say(f"Joined run {run.id}: {run.done} of {run.due} products done by others")
    if job.selection.refetch:
        progress.say("Stored images: their pictures are asked for again, and embedded if changed")
    progress.start(run.left, job.batches(run.left))
    return run


def _pages(catalog: Catalog, job: Job, leases: Iterator[Lease]) -> Iterator[Page[Product]]:
    for lease in leases:
        pages = catalog.pages(job.selection, job.batch_size, lease.range)
        yield from marked(lease, pages, attrgetter("id"))


def _pages_ahead(job: Job) -> int:
    return max(2, min(FETCHED_AHEAD // job.batch_size, 20))


def _embed(
    embed: EmbedPage, progress: Progress, numbers: Iterator[int], page: Sequence[Pictured]
) -> list[Embedded]:
    if not page:
        return []
    progress.batch(next(numbers), len(page))
    return embed(page)


def _save(parts: Parts, page: Page[Embedded]) -> list[Embedded]:
    return parts.store.save(list(page.items), parts.models, page.mark)

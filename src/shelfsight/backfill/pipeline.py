"""The path of every product, from the shop's tables to its stored vectors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from operator import attrgetter
from threading import Event

from shelfsight.backfill.concurrency import map_concurrently
from shelfsight.backfill.leases import Lease, Page, each, pages
from shelfsight.backfill.ports import Catalog, ImageFetcher, Ledger, VectorStore
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import IN_HAND, Job, KeyRange, Partitioning, Run
from shelfsight.records import EmbeddedProduct, FetchedProduct, ModelPair, Product, Selection

Embed = Callable[[Sequence[FetchedProduct]], list[EmbeddedProduct]]
EmbedPage = Callable[[Page[FetchedProduct]], Page[EmbeddedProduct]]

FETCHED = 2 * IN_HAND
"""Pages whose pictures are fetched at a time, or wait to be embedded."""

PAST_STUCK = 3_000
"""Products whose pictures are fetched at a time while a host holds up others: to embed them should
take as long as a picture takes at the most."""

PAST_STUCK_PAGES = 60
"""And pages: each has a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Where a backfill begins and where it ends, and its ledger; `models` make the vectors."""

    catalog: Catalog
    models: ModelPair
    store: VectorStore
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(RunContext):
    """What a backfill is made of.

    `embed` turns a page into vectors made by `models`, in several threads at the same time.
    """

    fetcher: ImageFetcher
    embed: Embed


def backfill(pipeline: Pipeline, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Give every chosen product its vectors, and count them in `report` as they are stored.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, what is being embedded is
    still stored. What was stored stays, whatever is raised.

    Raises:
        ShelfsightError: the run cannot go on; a product's own failure does not raise.
    """
    run = begin(pipeline, job, report, progress, stop)
    work_until_done(pipeline, run, report, progress, stop)
    pipeline.ledger.close(run)


def work_until_done(
    pipeline: Pipeline, run: Run, report: Report, progress: Progress, stop: Event
) -> None:
    """Work on a run until nothing is left of it to anybody, or `stop` is set; see `backfill`."""
    max_workers = min(PAST_STUCK // run.job.page, PAST_STUCK_PAGES)
    with pipeline.ledger.leases(run, stop, progress.notify) as leases:
        read = _read(pipeline.catalog, run.job, leases, progress)
        for page in flow(pipeline, read, each(pipeline.embed), stop, max_workers):
            if page.items:
                report.add(page.items)
                progress.stored(page.items)
    report.interrupted = stop.is_set()


def flow(
    pipeline: Pipeline,
    read: Iterable[Page[Product]],
    embed: EmbedPage,
    stop: Event,
    max_workers: int = 0,
) -> Iterator[Page[EmbeddedProduct]]:
    """What was stored of each page, as it comes: no items where it was lost to another worker.

    While pictures hold up their pages, up to `max_workers` are fetched at a time.
    """
    fetch = each(pipeline.fetcher.fetch)
    fetched = map_concurrently(fetch, read, workers=FETCHED, max_workers=max_workers, stop=stop)
    for page in map_concurrently(embed, fetched, workers=IN_HAND):
        saved = pipeline.store.save(list(page.items), pipeline.models, page.checkpoint)
        yield replace(page, items=saved)


def begin(
    run_context: RunContext, job: Job, report: Report, progress: Progress, stop: Event
) -> Run:
    """Begin a run, or join the one of this job; what is left of it is what `report` is about.

    Raises:
        ShelfsightError: the vectors would not fit those that are stored.
    """
    run_context.store.require(run_context.models, replace=not job.selection.skip_existing)
    report.recombined = run_context.store.recombine()

    def partition() -> Partitioning:
        return run_context.catalog.partition(job.selection, job.grain, job.limit).merged(job)

    run, is_joined = run_context.ledger.begin(
        job, run_context.models, partition, stop, progress.notify
    )
    report.due = run.due - run.done
    if is_joined:
        progress.notify(f"Joined run {run.id}: {run.done} of {run.due} products done by others")
    if job.selection.refetch:
        progress.notify(
            "Stored images: their pictures are asked for again, and embedded if changed"
        )
    progress.start(run.left, job.batches(run.left))
    return run


def _read(
    catalog: Catalog, job: Job, leases: Iterator[Lease], progress: Progress
) -> Iterator[Page[Product]]:
    numbers = count(1)

    def batches(chosen: Selection, within: KeyRange) -> Iterator[Sequence[Product]]:
        for batch in catalog.pages(chosen, job.batch_size, within):
            progress.batch(next(numbers), len(batch))
            yield batch

    for lease in leases:
        chosen = job.selection if lease.ids is None else replace(job.selection, variants=lease.ids)
        yield from pages(lease, partial(batches, chosen), job.page, attrgetter("id"))

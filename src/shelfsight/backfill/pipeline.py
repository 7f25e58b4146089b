"""The backfill's pipeline: read products, fetch their pictures, embed them, store the vectors.

`process_pages` is the whole path of a product. The stages overlap; see `concurrency`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from operator import attrgetter
from threading import Event

from shelfsight.backfill.concurrency import map_concurrently
from shelfsight.backfill.leases import Lease, Page, lease_pages, per_page
from shelfsight.backfill.ports import Catalog, ImageFetcher, Ledger, VectorStore
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import PAGES_IN_FLIGHT, Job, KeyRange, Partitioning, Run
from shelfsight.records import EmbeddedProduct, FetchedProduct, ModelPair, Product, Selection

Embed = Callable[[Sequence[FetchedProduct]], list[EmbeddedProduct]]
EmbedPage = Callable[[Page[FetchedProduct]], Page[EmbeddedProduct]]

PAGES_FETCHING = 2 * PAGES_IN_FLIGHT
"""Pages whose pictures are being fetched, or wait to be embedded, in the usual case."""

MAX_PRODUCTS_FETCHING = 3_000
"""Products being fetched at a time when a slow host holds some of them up.

Embedding so many should take about as long as one picture may take at most."""

MAX_PAGES_FETCHING = 60
"""Pages being fetched at a time in that case; each takes a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run needs besides the work itself: catalogue, store, ledger, and the models' names.

    It is enough to begin a run and to follow it when the work is done elsewhere.
    """

    catalog: Catalog
    models: ModelPair
    store: VectorStore
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(RunContext):
    """Everything that a worker needs to embed products.

    `embed` turns fetched products into vectors made by `models`; several threads call it at a time.
    """

    fetcher: ImageFetcher
    embed: Embed


def backfill(pipeline: Pipeline, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Give every selected product its vectors, and count them in `report` as they are stored.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, the pages that are being
    embedded are still stored. Whatever is raised, vectors that were stored stay.

    Raises:
        ShelfsightError: the run cannot go on. A product's own failure does not raise.
    """
    run = begin_run(pipeline, job, report, progress, stop)
    work_until_done(pipeline, run, report, progress, stop)
    pipeline.ledger.close(run)


def work_until_done(
    pipeline: Pipeline, run: Run, report: Report, progress: Progress, stop: Event
) -> None:
    """Work on a run until no range of it is left, or until `stop` is set; see `backfill`."""
    max_workers = min(MAX_PRODUCTS_FETCHING // run.job.page_size, MAX_PAGES_FETCHING)
    with pipeline.ledger.leases(run, stop, progress.notify) as leases:
        read = _read(pipeline.catalog, run.job, leases, progress)
        for page in process_pages(pipeline, read, per_page(pipeline.embed), stop, max_workers):
            if page.items:
                report.add(page.items)
                progress.stored(page.items)
    report.interrupted = stop.is_set()


def process_pages(
    pipeline: Pipeline,
    read: Iterable[Page[Product]],
    embed: EmbedPage,
    stop: Event,
    max_workers: int = 0,
) -> Iterator[Page[EmbeddedProduct]]:
    """Fetch, embed and store pages; yield each with the products that were stored.

    A page that was lost to another worker is yielded without items. While slow pictures hold up
    their pages, up to `max_workers` pages are fetched at a time.
    """
    fetch = per_page(pipeline.fetcher.fetch)
    fetched = map_concurrently(
        fetch, read, workers=PAGES_FETCHING, max_workers=max_workers, stop=stop
    )
    for page in map_concurrently(embed, fetched, workers=PAGES_IN_FLIGHT):
        saved = pipeline.store.save(list(page.items), pipeline.models, page.checkpoint)
        yield replace(page, items=saved)


def begin_run(
    run_context: RunContext, job: Job, report: Report, progress: Progress, stop: Event
) -> Run:
    """Begin a run of this job, or join the one that is at work; `report` counts what is left of it.

    Raises:
        ShelfsightError: the new vectors would not fit those that are stored.
    """
    run_context.store.require(run_context.models, replace=not job.selection.skip_existing)
    report.recombined = run_context.store.recombine()

    def partition() -> Partitioning:
        return run_context.catalog.partition(job.selection, job.range_size, job.limit).merged(job)

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
    progress.start(run.remaining, job.batches(run.remaining))
    return run


def _read(
    catalog: Catalog, job: Job, leases: Iterator[Lease], progress: Progress
) -> Iterator[Page[Product]]:
    """Read the pages of each lease, and report each batch."""
    numbers = count(1)

    def batches(chosen: Selection, within: KeyRange) -> Iterator[Sequence[Product]]:
        for batch in catalog.pages(chosen, job.batch_size, within):
            progress.batch(next(numbers), len(batch))
            yield batch

    for lease in leases:
        chosen = job.selection if lease.ids is None else replace(job.selection, variants=lease.ids)
        yield from lease_pages(lease, partial(batches, chosen), job.page_size, attrgetter("id"))

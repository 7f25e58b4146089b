"""The backfill's pipeline: read products, fetch their pictures, embed them, store the vectors.

`process_pages` has the stages after reading. The stages run at the same time on different pages;
see `concurrency`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, takewhile
from operator import attrgetter
from threading import Event

from shelfsight.backfill.concurrency import map_concurrently
from shelfsight.backfill.leases import Lease, Page, lease_pages, per_page
from shelfsight.backfill.losses import Guard, RunPolicy, accept_losses, guard_of
from shelfsight.backfill.page_size import Embed, PageSize
from shelfsight.backfill.ports import Catalog, ImageFetcher, Ledger, VectorStore
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import PAGES_IN_FLIGHT, Job, KeyRange, Partitioning, Run
from shelfsight.records import (
    EmbeddedProduct,
    ModelPair,
    Product,
    Selection,
)

PAGES_FETCHING = 2 * PAGES_IN_FLIGHT
"""Pages that are being fetched or wait to be embedded, as long as no slow host holds them up."""

MAX_PRODUCTS_FETCHING = 3_000
"""Products that are fetched at the same time while a slow host holds some of them up.

Embedding 3,000 products should take about as long as the longest wait for one picture."""

MAX_PAGES_FETCHING = 60
"""Pages that are fetched at the same time while a slow host holds some up; each needs a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What it takes to begin a run and to follow its progress, even if other machines do the work.

    It has the catalogue, the store, the ledger, the identities of the models, and what the run may
    do without a question.
    """

    catalog: Catalog
    models: ModelPair
    store: VectorStore
    ledger: Ledger
    policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(RunContext):
    """Everything that a worker needs to embed products.

    `embed` makes the vectors of fetched products with `models`; several threads call it at the same
    time.
    """

    fetcher: ImageFetcher
    embed: Embed


def backfill(pipeline: Pipeline, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Make and store the vectors of every selected product, and count the results in `report`.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, the pages that are being
    embedded are still stored. If an error is raised, the vectors that were already stored remain.

    Raises:
        ShelfsightError: the run cannot continue. The failure of a single product is not raised.
    """
    run = begin_run(pipeline, job, report, progress, stop)
    work_until_done(pipeline, run, report, progress, stop)
    report_end(run, pipeline.ledger.close(run), report, progress)


def work_until_done(
    pipeline: Pipeline, run: Run, report: Report, progress: Progress, stop: Event
) -> None:
    """Work on a run until no range is left, its job's `call_limit` is reached or `stop` is set.

    The results are counted in `report`.
    """
    max_workers = min(MAX_PRODUCTS_FETCHING // run.job.page_size, MAX_PAGES_FETCHING)
    with progress.working(), pipeline.ledger.leases(run, stop, progress.notify) as leases:
        page_size = PageSize(run.job.page_size)
        read = _read(pipeline.catalog, run.job, leases, progress, page_size)
        guard = guard_of(run, pipeline.store, pipeline.ledger)
        timed = replace(pipeline, embed=page_size.timed(pipeline.embed))
        for page in process_pages(timed, read, guard, stop, max_workers):
            if page.items:
                report.add(page.items)
                progress.stored(page.items)
    report.interrupted = stop.is_set()


def process_pages(
    pipeline: Pipeline,
    read: Iterable[Page[Product]],
    guard: Guard,
    stop: Event,
    max_workers: int = 0,
) -> Iterator[Page[EmbeddedProduct]]:
    """Fetch, embed and store pages; yield each page with the products that were stored.

    Of each page only what `guard` returns is stored. A page that was lost to another worker is
    yielded without items. While slow pictures hold up some pages, up to `max_workers` pages are
    fetched at the same time.
    """
    fetch = per_page(pipeline.fetcher.fetch)
    fetched = map_concurrently(
        fetch, read, workers=PAGES_FETCHING, max_workers=max_workers, stop=stop
    )
    embed = per_page(pipeline.embed)
    for page in map_concurrently(embed, fetched, workers=PAGES_IN_FLIGHT):
        saved = pipeline.store.save(guard(list(page.items)), pipeline.models, page.checkpoint)
        yield replace(page, items=saved)


def check_tables(run_context: RunContext, job: Job) -> None:
    """Check that a run can read the shop's tables and write the vectors.

    Raises:
        SchemaError: tables or columns are missing or do not fit.
        CatalogueChangedError: a column that an earlier run has read is gone.
        ModelMismatchError: other models made the stored vectors.
    """
    run_context.store.require(run_context.models, replace=not job.selection.skip_existing)
    if run_context.policy.accepts_losses:
        run_context.catalog.forget()
    run_context.catalog.check()
    run_context.catalog.remember()


def begin_run(
    run_context: RunContext, job: Job, report: Report, progress: Progress, stop: Event
) -> Run:
    """Begin a run of this job, or join the active run of the same job; show how much is left to do.

    Before that, combined vectors that were made with other weights are recomputed.

    Raises:
        ShelfsightError: the new vectors would not be compatible with the stored vectors, or the
            shop's tables cannot be read.
        CatalogueChangedError: a column that an earlier run has read is gone.
        UnconfirmedLossError: many stored vectors would be taken away, and nobody confirmed that.
    """
    check_tables(run_context, job)
    report.recombined = run_context.store.recombine()

    def partition() -> Partitioning:
        found = run_context.catalog.partition(job.selection, job.range_size, job.run_limit)
        if not found.selected:
            progress.notify(no_product(job.selection))
        accepted = accept_losses(found.lost, run_context.store, run_context.policy)
        return replace(found.merged(job), losses_accepted=accepted)

    run, is_joined = run_context.ledger.begin(
        job, run_context.models, partition, stop, progress.notify
    )
    if run_context.policy.accepts_losses and not run.losses_accepted:
        run = run_context.ledger.accept_losses(run)
    run = replace(run, job=job)
    report.due = run.due - run.done
    if is_joined:
        progress.notify(_joined(run))
    if job.selection.refetch:
        progress.notify(
            "Stored images: their pictures are asked for again, and embedded if changed"
        )
    progress.in_run(run.id)
    progress.start(run.remaining, job.batches(run.remaining))
    return run


def _joined(run: Run) -> str:
    done = f"{run.done} of {run.due} products"
    if run.workers:
        return f"Joined run {run.id}: {done} done by others"
    return f"Going on with run {run.id}: {done} are done. To begin anew, add --new"


def report_end(begun: Run, ended: Run, report: Report, progress: Progress) -> None:
    """Count what remains of the run, and say that a run which took several calls is done.

    `begun` is the run as this call found it, `ended` as this call leaves it. Other workers may have
    done what this call found due.
    """
    report.due = report.found + ended.left
    job = begun.job
    if ended.outcome != "done" or not job.selection.stays_due:
        return
    if begun.done or job.limit is not None:
        progress.notify(
            f"Run {ended.id} is done: {ended.done} products in all. The same command starts anew."
        )


def no_product(selection: Selection) -> str:
    """Return what to say if the selection has no product, whether due or not."""
    by_state = replace(
        selection, skip_existing=True, refetch=False, retry_failed=False, missing=None
    )
    if by_state == Selection():
        return (
            "The catalogue has no products. Is this the right database, with the right schema and"
            " role? Check with: shelfsight doctor"
        )
    if selection.only_failed:
        return "No failure matches. See what failed: shelfsight failures"
    return "No product matches the selection. Check the flags, and the database: shelfsight doctor"


@dataclass(slots=True)
class _CallLimit:
    """How many products this call may still read, or None; and whether it has left some unread."""

    room: int | None
    is_cut: bool = False

    def take(self, batch: list[Product]) -> list[Product]:
        """Return the first products of a batch, as many as there is room for."""
        taken = batch[: self.room]
        if self.room is not None:
            self.room -= len(taken)
        return taken


def _read(
    catalog: Catalog, job: Job, leases: Iterator[Lease], progress: Progress, page_size: PageSize
) -> Iterator[Page[Product]]:
    """Read the pages of each lease, and report each batch that was read to `progress`.

    Once the job's `call_limit` is reached, the rest of the lease is left to the next call.
    """
    numbers, limit = count(1), _CallLimit(job.call_limit)

    def batches(chosen: Selection, within: KeyRange) -> Iterator[Sequence[Product]]:
        for batch in catalog.pages(chosen, job.batch_size, within):
            if taken := limit.take(batch):
                progress.batch(next(numbers), len(taken))
                yield taken
            if len(taken) < len(batch):
                limit.is_cut = True
                return

    for lease in leases:
        chosen = job.selection if lease.ids is None else replace(job.selection, variants=lease.ids)
        read = partial(batches, chosen)
        pages = lease_pages(lease, read, lambda: page_size.products, attrgetter("id"))
        # after a cut, the next page would count the rest of the lease as done
        yield from takewhile(lambda _: not limit.is_cut, pages)
        if limit.room == 0:
            return

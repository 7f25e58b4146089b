"""The path of every product, from the shop's tables to its stored vectors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from operator import attrgetter
from threading import Event

from shelfsight.backfill.concurrency import abreast
from shelfsight.backfill.leases import Lease, Page, each, pages
from shelfsight.backfill.ports import Catalog, ImageFetcher, Ledger, VectorStore
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import IN_HAND, Cut, Job, KeyRange, Run
from shelfsight.records import Embedded, ModelPair, Pictured, Product, Selection

Embed = Callable[[Sequence[Pictured]], list[Embedded]]
EmbedPage = Callable[[Page[Pictured]], Page[Embedded]]

FETCHED = 2 * IN_HAND
"""Pages whose pictures are fetched at a time, or wait to be embedded."""

PAST_STUCK = 3_000
"""Products whose pictures are fetched at a time while a host holds up others: to embed them should
take as long as a picture takes at the most."""

PAST_STUCK_PAGES = 60
"""And pages: each has a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where a backfill begins and where it ends, and its ledger; `models` make the vectors."""

    catalog: Catalog
    models: ModelPair
    store: VectorStore
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Ends):
    """What a backfill is made of.

    `embed` turns a page into vectors made by `models`, in several threads at the same time.
    """

    fetcher: ImageFetcher
    embed: Embed


def backfill(parts: Parts, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Give every chosen product its vectors, and count them in `report` as they are stored.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, what is being embedded is
    still stored. What was stored stays, whatever is raised.

    Raises:
        ShelfsightError: the run cannot go on; a product's own failure does not raise.
    """
    run = begin(parts, job, report, progress, stop)
    drain(parts, run, report, progress, stop)
    parts.ledger.close(run)


def drain(parts: Parts, run: Run, report: Report, progress: Progress, stop: Event) -> None:
    """Work on a run until nothing is left of it to anybody, or `stop` is set; see `backfill`."""
    most = min(PAST_STUCK // run.job.page, PAST_STUCK_PAGES)
    with parts.ledger.leases(run, stop, progress.say) as leases:
        read = _read(parts.catalog, run.job, leases, progress)
        for page in flow(parts, read, each(parts.embed), stop, most):
            if page.items:
                report.add(page.items)
                progress.stored(page.items)
    report.interrupted = stop.is_set()


def flow(
    parts: Parts, read: Iterable[Page[Product]], embed: EmbedPage, stop: Event, most: int = 0
) -> Iterator[Page[Embedded]]:
    """What was stored of each page, as it comes: no items where it was lost to another worker.

    While pictures hold up their pages, up to `most` are fetched at a time.
    """
    fetch = each(parts.fetcher.fetch)
    pictured = abreast(fetch, read, at_once=FETCHED, most=most, stop=stop)
    for page in abreast(embed, pictured, at_once=IN_HAND):
        saved = parts.store.save(list(page.items), parts.models, page.mark)
        yield replace(page, items=saved)


def begin(ends: Ends, job: Job, report: Report, progress: Progress, stop: Event) -> Run:
    """Begin a run, or join the one of this job; what is left of it is what `report` is about.

    Raises:
        ShelfsightError: the vectors would not fit those that are stored.
    """
    ends.store.require(ends.models, replace=not job.selection.skip_existing)
    report.recombined = ends.store.recombine()

    def cut() -> Cut:
        return ends.catalog.cut(job.selection, job.grain, job.limit).merged(job)

    run, is_joined = ends.ledger.begin(job, ends.models, cut, stop, progress.say)
    report.due = run.due - run.done
    if is_joined:
        progress.say(f"Joined run {run.id}: {run.done} of {run.due} products done by others")
    if job.selection.refetch:
        progress.say("Stored images: their pictures are asked for again, and embedded if changed")
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

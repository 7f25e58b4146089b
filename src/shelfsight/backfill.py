"""The path of every product, from the shop's tables to its stored vectors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from threading import Event

from shelfsight.progress import Progress
from shelfsight.records import Due, Embedded, ModelPair, Pictured, Selection
from shelfsight.report import Report
from shelfsight.seams import Catalog, ImageFetcher, VectorStore
from shelfsight.stage import stage

EmbedPage = Callable[[Sequence[Pictured]], list[Embedded]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a backfill is made of. `embed` turns a page into vectors made by `models`."""

    catalog: Catalog
    fetcher: ImageFetcher
    embed: EmbedPage
    models: ModelPair
    store: VectorStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of a run. `max_batches` 0 means no limit."""

    selection: Selection
    batch_size: int
    max_batches: int

    def batches(self, due: Due) -> int:
        """How many batches a run makes of what is due."""
        needed = -(-due.products // self.batch_size)
        return min(needed, self.max_batches) if self.max_batches else needed

    def products(self, due: Due) -> int:
        """How many products these batches hold."""
        return min(due.products, self.batches(due) * self.batch_size)


def backfill(parts: Parts, job: Job, report: Report, progress: Progress, stop: Event) -> None:
    """Give every chosen product its vectors, and count them in `report` as they are stored.

    Reading, fetching, embedding and storing overlap. Once `stop` is set, the page that is being
    embedded is still stored. What was stored stays, whatever is raised.

    Raises:
        ShelfsightError: the run cannot go on; a product's own failure does not raise.
    """
    parts.store.require(parts.models, replace=not job.selection.skip_existing)
    report.recombined = parts.store.recombine()
    due = parts.catalog.due(job.selection)
    report.due = due.products
    progress.start(job.products(due), job.batches(due))
    embed = partial(_embed, parts.embed, progress, count(1))
    save = partial(parts.store.save, models=parts.models)

    pages = islice(parts.catalog.pages(job.selection, job.batch_size), job.batches(due))
    pictured = stage(parts.fetcher.fetch, pages, stop=stop)
    embedded = stage(embed, pictured, stop=stop)
    for page in stage(save, embedded):
        report.add(page)
        progress.stored(page)
    report.interrupted = stop.is_set()


def _embed(
    embed: EmbedPage, progress: Progress, numbers: Iterator[int], page: list[Pictured]
) -> list[Embedded]:
    progress.batch(next(numbers), len(page))
    return embed(page)

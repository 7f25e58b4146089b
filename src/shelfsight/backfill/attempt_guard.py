"""Passes over products at which workers are killed, most likely for want of memory."""

from collections.abc import Sequence
from functools import partial
from threading import Lock

from shelfsight.backfill.page_size import Embed
from shelfsight.backfill.ports import AttemptLog
from shelfsight.records import EmbeddedProduct, Failure, FetchedProduct, Need, Stage

MAX_KILLS = 2
"""After so many kills at a product it is recorded as failed."""

OUT_OF_MEMORY = "out_of_memory"

_MESSAGE = "the worker was killed twice while it embedded this product, most likely out of memory"


class AttemptGuard:
    """Records which products are being embedded, before and after. Thread-safe.

    A product that was being embedded when a worker was killed is embedded alone next time, so that
    a second kill tells which product it was. After the second one it fails as `out_of_memory`.
    """

    def __init__(self, log: AttemptLog) -> None:
        self._log = log
        self._unended = dict(log.unended())
        self._alone = Lock()

    def guarded(self, embed: Embed) -> Embed:
        """Return `embed` with this guard."""
        return partial(self._embed, embed)

    def _embed(self, embed: Embed, page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
        kills = [self._unended.get(item.product.id, 0) for item in page]
        done: dict[int, EmbeddedProduct] = {}
        if together := [place for place, count in enumerate(kills) if not count]:
            embedded = self._attempt(embed, [page[place] for place in together])
            done |= zip(together, embedded, strict=True)
        for place, count in enumerate(kills):
            if count >= MAX_KILLS:
                done[place] = self._given_up(page[place])
            elif count:
                with self._alone:
                    (done[place],) = self._attempt(embed, [page[place]])
        return [done[place] for place in range(len(page))]

    def _attempt(self, embed: Embed, items: list[FetchedProduct]) -> list[EmbeddedProduct]:
        ids = [item.product.id for item in items]
        self._log.begin(ids)
        try:
            return embed(items)
        finally:  # this process lives, whatever has happened
            self._log.end(ids)
            for id_ in ids:
                self._unended.pop(id_, None)

    def _given_up(self, item: FetchedProduct) -> EmbeddedProduct:
        del self._unended[item.product.id]  # if its content changes, it is tried again
        has_text = item.product.has_text and item.product.text_need is not Need.KEEP
        stages = [Stage.IMAGE] * bool(item.pictures) + [Stage.TEXT] * has_text
        failures = [Failure(stage=one, kind=OUT_OF_MEMORY, message=_MESSAGE) for one in stages]
        return EmbeddedProduct(
            product=item.product, failures=(*item.failures, *failures), files=item.kept
        )

"""How many products a page has, so that a page never takes long to embed."""

from collections.abc import Callable, Sequence
from time import monotonic

from shelfsight.records import EmbeddedProduct, FetchedProduct

PAGE_SECONDS = 10.0
"""Seconds that a page should take at most. A run that is stopped waits for the pages in progress,
and progress is shown when a page is stored."""

FIRST_PAGE = 2
"""Products of the first page, because nobody knows yet how fast the models are."""

FASTEST_GROWTH = 4
"""How many times as large as the last page the next one may be."""

Embed = Callable[[Sequence[FetchedProduct]], list[EmbeddedProduct]]


class PageSize:
    """The size of the next page: at most `largest`, and what was embedded in ten seconds before."""

    def __init__(self, largest: int, clock: Callable[[], float] = monotonic) -> None:
        self._largest = largest
        self._clock = clock
        self.products = min(FIRST_PAGE, largest)

    def timed(self, embed: Embed) -> Embed:
        """Return `embed`, from whose time the size of the next pages follows."""

        def embed_timed(page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
            began = self._clock()
            embedded = embed(page)
            self._adapt(len(page), self._clock() - began)
            return embedded

        return embed_timed

    def _adapt(self, products: int, seconds: float) -> None:
        if not products:
            return
        in_time = PAGE_SECONDS * products / seconds if seconds > 0 else self._largest
        self.products = max(1, int(min(in_time, FASTEST_GROWTH * products, self._largest)))

"""Products at which workers are killed are found, whatever else is on their pages."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.attempt_guard import AttemptGuard
from shelfsight.records import EmbeddedProduct, FetchedProduct, Need, Product
from shelfsight.testing import MemoryAttemptLog


class Killed(BaseException):
    """The process is gone: nothing more of it runs."""


class Mortal(MemoryAttemptLog):
    """Notes nothing more once the process was killed."""

    is_dead = False

    def end(self, ids: list[str]) -> None:
        if not self.is_dead:
            super().end(ids)


def run(log: Mortal, pages: list[list[FetchedProduct]], deadly: set[str]) -> dict[str, list[str]]:
    """Embed the pages; return the kinds of failures by product."""

    def embed(page: list[FetchedProduct]) -> list[EmbeddedProduct]:
        if deadly & {item.product.id for item in page}:
            log.is_dead = True
            raise Killed
        return [EmbeddedProduct(product=item.product) for item in page]

    log.is_dead = False
    guarded = AttemptGuard(log).guarded(embed)
    embedded = list(itertools.chain.from_iterable(map(guarded, pages)))
    assert [item.product.id for item in embedded] == [
        item.product.id for page in pages for item in page
    ]
    return {item.product.id: [failure.kind for failure in item.failures] for item in embedded}


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    deadly=st.sets(st.integers(0, 15), max_size=3),
)
def test_each_deadly_product_costs_two_workers_and_no_other_product_fails(
    sizes: list[int], deadly: set[int]
) -> None:
    numbers = itertools.count()
    pages = [
        [
            FetchedProduct(product=Product(id=str(next(numbers)), title="Mug", has_text=True))
            for _ in range(size)
        ]
        for size in sizes
    ]
    there = {str(number) for number in deadly if number < sum(sizes)}
    log, kills = Mortal(), 0
    failed: set[str] = set()
    while True:
        left = [[item for item in page if item.product.id not in failed] for page in pages]
        try:
            found = run(log, left, there)
        except Killed:
            kills += 1
            continue
        assert {kind for kinds in found.values() for kind in kinds} <= {"out_of_memory"}
        failed |= {id_ for id_, kinds in found.items() if kinds}
        break
    assert failed == there
    assert kills <= 2 * len(there)
    assert log.unended().keys() == there


def test_an_error_is_no_kill() -> None:
    log = MemoryAttemptLog()

    def embed(_page: object) -> list[EmbeddedProduct]:
        raise ValueError("a bug")

    page = [FetchedProduct(product=Product(id="a", title="Mug", has_text=True))]
    with pytest.raises(ValueError, match="a bug"):
        AttemptGuard(log).guarded(embed)(page)
    assert log.unended() == {}


def test_only_what_was_to_be_embedded_fails() -> None:
    log = MemoryAttemptLog()
    log.begin(["a"])
    log.begin(["a"])
    kept = Product(id="a", title="Mug", has_text=True, text_need=Need.KEEP)
    (done,) = AttemptGuard(log).guarded(lambda _: [])([FetchedProduct(product=kept)])
    assert done.failures == ()

"""The size of pages: large with fast models, and a few products with slow ones."""

from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.page_size import FIRST_PAGE, PAGE_SECONDS, PageSize
from shelfsight.records import EmbeddedProduct, FetchedProduct, Product

ITEM = FetchedProduct(product=Product(id="1", title="a mug"))


def sizes(seconds_per_product: float, *, largest: int, pages: int) -> list[int]:
    """Embed pages with models of one speed; return the size of each, and that of the next."""
    now = 0.0

    def embed(page: list[FetchedProduct]) -> list[EmbeddedProduct]:
        nonlocal now
        now += seconds_per_product * len(page)
        return []

    page_size = PageSize(largest, clock=lambda: now)
    timed = page_size.timed(embed)
    seen = [page_size.products]
    for _ in range(pages):
        timed([ITEM] * page_size.products)
        seen.append(page_size.products)
    return seen


@given(speed=st.floats(0, 60), largest=st.integers(1, 500))
def test_a_page_takes_ten_seconds_at_most_but_has_a_product(speed: float, largest: int) -> None:
    first, *others = sizes(speed, largest=largest, pages=6)
    assert first == min(FIRST_PAGE, largest)
    for size in others:
        assert 1 <= size <= largest
        assert size == 1 or size * speed <= PAGE_SECONDS


def test_fast_models_soon_get_the_largest_pages() -> None:
    assert sizes(0.001, largest=75, pages=4) == [2, 8, 32, 75, 75]

"""The pages of a lease, stored in any order: what is left is known at any time."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.leases import Lease, Page, lease_pages
from shelfsight.backfill.runs import WHOLE, KeyRange

SHOP = [f"{number:03}" for number in range(100)]


def lease(*ranges: KeyRange) -> Lease:
    return Lease(run=1, number=1, fence=1, ranges=ranges)


def ids(within: KeyRange) -> list[str]:
    """The products of a range."""
    after, last = within.after or "", within.last or "~"
    return [one for one in SHOP if after < one <= last]


def read(of: Lease, *, batch: int = 9, sizes: Sequence[int] = (3,)) -> Iterator[Page[str]]:
    """Read pages, of the next of these sizes each."""
    size = cycle(sizes)

    def batches(within: KeyRange) -> Iterator[list[str]]:
        due = ids(within)
        return (due[start : start + batch] for start in range(0, len(due), batch))

    return lease_pages(of, batches, lambda: next(size), str)


@st.composite
def pipeline(draw: st.DrawFn) -> tuple[KeyRange, ...]:
    """Ranges one behind the other, with something between them; the last may be open."""
    bounds = sorted(draw(st.sets(st.sampled_from(SHOP), min_size=2, max_size=8)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    ranges = [KeyRange(after=after, last=last) for after, last in pairs]
    if draw(st.booleans()):
        ranges[-1] = KeyRange(after=ranges[-1].after)
    return tuple(ranges)


@given(ranges=pipeline(), sizes=st.lists(st.integers(1, 5), min_size=1), batch=st.integers(1, 20))
def test_pages_hold_each_product_once_and_in_order(
    ranges: tuple[KeyRange, ...], sizes: list[int], batch: int
) -> None:
    given_ = list(read(lease(*ranges), batch=batch, sizes=sizes))
    assert [one for page in given_ for one in page.items] == [i for r in ranges for i in ids(r)]
    assert max(len(page.items) for page in given_) <= max(sizes)


@given(ranges=pipeline(), chance=st.randoms(use_true_random=False), ahead=st.integers(1, 20))
def test_whatever_is_stored_the_rest_is_left_and_goes_to_the_next_holder(
    ranges: tuple[KeyRange, ...], chance: Random, ahead: int
) -> None:
    due = {one for part in ranges for one in ids(part)}
    of, stored = lease(*ranges), set[str]()
    while due - stored:
        under_way, coming = list[Page[str]](), read(of)
        left = of.ranges
        for _ in range(chance.randrange(1, 30)):
            under_way += [page for page, _ in zip(coming, range(ahead), strict=False)]
            if not under_way:
                break
            page = under_way.pop(chance.randrange(len(under_way)))
            left = of.remaining_after(page.checkpoint)
            of.record_stored(page.checkpoint)
            assert stored.isdisjoint(page.items)
            stored.update(page.items)
            assert {one for part in left for one in ids(part)} == due - stored
            assert of.ended.is_set() == (not left)
        of = lease(*left)


def test_what_is_left_is_put_together_where_it_lies_together() -> None:
    of = lease(WHOLE)
    under_way = [page for page, _ in zip(read(of), range(6), strict=False)]
    ends = [page.items[-1] for page in under_way]
    of.record_stored(under_way[4].checkpoint)
    assert of.remaining_after(under_way[0].checkpoint) == (
        KeyRange(after=ends[0], last=ends[3]),
        KeyRange(after=ends[4]),
    )


def test_a_page_that_is_noted_twice_counts_once() -> None:
    of = lease(WHOLE)
    first = next(read(of))
    assert not of.is_stored(first.checkpoint)
    for _ in range(2):
        of.record_stored(first.checkpoint)
    assert of.is_stored(first.checkpoint)
    assert of.stored == 1


def test_a_range_of_which_nothing_is_due_is_done_with_one_empty_page() -> None:
    of = lease(KeyRange(after="x", last="y"))
    (page,) = read(of)
    assert (list(page.items), of.remaining_after(page.checkpoint)) == ([], ())
    of.record_stored(page.checkpoint)
    assert of.ended.is_set()


def test_a_lease_that_is_lost_gives_no_more_pages() -> None:
    of = lease(WHOLE)
    coming = read(of)
    next(coming)
    of.mark_lost()
    assert next(coming, None) is None

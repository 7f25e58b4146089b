"""How a run is cut, and how its pages are marked."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.runs import PAGES_IN_FLIGHT, Job, KeyRange, Partitioning
from shelfsight.records import Selection


def job(batch_size: int = 150) -> Job:
    return Job(selection=Selection(), batch_size=batch_size, max_batches=0)


def partition(due: int, range_size: int) -> Partitioning:
    """Ranges over the ids 1, 2, ... as a catalogue gives them, the last one open."""
    ends = [str(UUID(int=number)) for number in range(range_size, due, range_size)]
    starts = [None, *ends]
    ranges = (KeyRange(after=a, last=b) for a, b in zip(starts, [*ends, None], strict=True))
    return Partitioning(due=due, selected=due, ranges=tuple(ranges) if due else ())


@pytest.mark.parametrize(
    ("due", "batch_size", "ranges"),
    [(0, 150, 0), (100, 150, 1), (301, 150, 3), (5_000, 20, 42), (200_000, 150, 103)],
)
def test_a_run_has_ranges_for_several_workers(due: int, batch_size: int, ranges: int) -> None:
    asked = job(batch_size)
    assert len(partition(due, asked.range_size).merged(asked).ranges) == ranges


def test_a_job_of_a_release_without_text_fields_is_the_same_as_one_that_names_none() -> None:
    assert "text_fields" not in job().to_json()
    named = replace(job(), text_fields=("title", "brand"))
    assert Job.from_json(named.to_json()) == named != job()


@given(due=st.integers(0, 100_000), batch_size=st.integers(1, 5_000))
def test_ranges_that_are_put_together_hold_the_same(due: int, batch_size: int) -> None:
    asked = job(batch_size)
    fine = partition(due, asked.range_size)
    wide = fine.merged(asked)
    bounds = [(one.after, one.last) for one in wide.ranges]
    assert [last for _, last in bounds[:-1]] == [after for after, _ in bounds[1:]]
    assert [bounds[0][0], bounds[-1][1]] == [None, None] if due else bounds == []
    assert {one.last for one in wide.ranges} <= {one.last for one in fine.ranges}


@given(
    due=st.integers(1, 5_000),
    batch_size=st.integers(1, 200),
    limit=st.integers(1, 6_000) | st.none(),
    behind=st.booleans(),
)
def test_the_ids_of_few_are_shared_out_among_their_ranges(
    due: int, batch_size: int, limit: int | None, *, behind: bool
) -> None:
    asked = job(batch_size)
    ids = [str(UUID(int=number)) for number in range(1, due + 1)]
    last = str(UUID(int=due + behind))  # whether something that is not due comes behind them
    whole = partition(due, asked.range_size)
    if limit is not None and limit <= due:
        ends = [
            *(one for one in ids[asked.range_size - 1 : limit - 1 : asked.range_size]),
            ids[limit - 1],
        ]
        starts = [None, *ends[:-1]]
        ranges = (KeyRange(after=a, last=b) for a, b in zip(starts, ends, strict=True))
        whole = Partitioning(due=due, selected=due, ranges=tuple(ranges))
    few = replace(whole, ids=tuple(ids), last=last).merged(asked)
    parts = list(few.ranges_with_ids())
    if whole.ranges[-1].last is None:
        assert parts.pop() == (KeyRange(after=last), None)
    shared = [one for _, own in parts for one in own or ()]
    assert shared == ids[: limit if limit and limit <= due else None]
    for within, own in parts:
        assert own
        assert all((within.after or "") < one <= (within.last or "") for one in own)
    assert [within.after for within, _ in parts[1:]] == [within.last for within, _ in parts[:-1]]


@given(st.integers(1, 10_000))
def test_a_worker_has_a_batch_in_hand_at_the_most(batch_size: int) -> None:
    assert PAGES_IN_FLIGHT * job(batch_size).page_size <= max(batch_size, PAGES_IN_FLIGHT)

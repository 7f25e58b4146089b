"""Capacity that callers share, and what a client is told when there is none."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.serving.fair_capacity import FairCapacity, FullError, Reservation
from shelfsight.serving.refusals import BusyError

CAPACITY = 120
CALLERS = "abcdef"


@pytest.mark.parametrize(("ahead", "told"), [(0, 1), (0.2, 1), (2.1, 3), (1000, 60)])
def test_when_to_come_again_is_in_whole_seconds(ahead: float, told: int) -> None:
    assert BusyError(ahead).headers == {"Retry-After": str(told)}


steps = st.lists(
    st.tuples(
        st.sampled_from(CALLERS),
        st.sampled_from(["open", "grow", "grow", "grow", "close"]),
        st.integers(0, CAPACITY + 10),
        st.integers(0, 10),
    ),
    max_size=200,
)


@given(steps)
def test_a_caller_under_its_share_is_never_refused_and_the_whole_never_exceeded(
    steps: list[tuple[str, str, int, int]],
) -> None:
    room = FairCapacity(CAPACITY)
    live: dict[str, list[Reservation]] = {caller: [] for caller in CALLERS}

    def opened(caller: str) -> Reservation:
        reservation = room.open(caller, lambda: live[caller].remove(reservation))
        live[caller].append(reservation)
        return reservation

    for caller, step, size, which in steps:
        own = live[caller]
        if step == "open" or not own:
            opened(caller)
        elif step == "close":
            room.close(own.pop(which % len(own)))
        else:
            try:
                room.grow(own[which % len(own)], size)
            except FullError:
                sharing = sum(1 for held in live.values() if held)
                assert room.held_by(caller) + size > CAPACITY / sharing
        held = {one: sum(r.size for r in kept) for one, kept in live.items()}
        assert room.held == sum(held.values()) <= CAPACITY
        assert all(room.held_by(one) == held[one] for one in CALLERS)


def test_who_holds_most_gives_way_by_its_newest_request() -> None:
    async def main() -> None:
        room = FairCapacity(10)
        broken = asyncio.Event()

        async def greedy() -> None:
            async with room.reserve("greedy", 6):
                try:
                    async with room.reserve("greedy", 4):
                        await asyncio.sleep(60)
                except FullError:
                    broken.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(greedy())
        await asyncio.sleep(0)
        async with room.reserve("modest", 3):
            await asyncio.wait_for(broken.wait(), 5)
            with pytest.raises(FullError):
                async with room.reserve("modest", 5):
                    pass
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert room.held == 0

    asyncio.run(main())


def test_a_time_out_within_a_reservation_stays_a_time_out() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with FairCapacity(1).reserve("a", 1), asyncio.timeout(0.01):
                await asyncio.sleep(60)

    asyncio.run(main())

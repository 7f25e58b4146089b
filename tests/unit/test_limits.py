"""Capacity that requests share, and what a client is told when there is none."""

import pytest

from shelfsight.serving.limits import CapacityLimit, FullError
from shelfsight.serving.refusals import BusyError


def test_a_room_lets_in_what_fits_and_one_giant_alone() -> None:
    room = CapacityLimit(10)
    with room.reserve(25):
        pass
    with room.reserve(6), room.reserve(4), pytest.raises(FullError), room.reserve(1):
        pass
    with room.reserve(10):
        pass


@pytest.mark.parametrize(("ahead", "told"), [(0, 1), (0.2, 1), (2.1, 3), (1000, 60)])
def test_when_to_come_again_is_in_whole_seconds(ahead: float, told: int) -> None:
    assert BusyError(ahead).headers == {"Retry-After": str(told)}

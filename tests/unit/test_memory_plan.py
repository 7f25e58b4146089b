"""How the memory of a scan server is divided: whatever the size, the parts fit into it."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.errors import SettingsError
from shelfsight.serving.scan_api.memory_plan import MemoryPlan, describe, divide, parts
from shelfsight.serving.scan_api.requests import MAX_PHOTOS

PHOTO = 3 * 3 * 512**2


@given(
    size=st.integers(1, 10**12),
    models=st.integers(10**7, 10**10),
    photo=st.integers(10**5, 10**7),
    cores=st.integers(1, 64),
)
def test_the_parts_fit_into_the_size_or_it_is_refused(
    size: int, models: int, photo: int, cores: int
) -> None:
    try:
        plan = divide(size, models=models, photo=photo, cores=cores)
    except SettingsError:
        with pytest.raises(SettingsError):
            divide(size - 1, models=models, photo=photo, cores=cores)
        return
    assert sum(parts(plan, models=models, photo=photo).values()) <= size
    usual = MemoryPlan()
    for one, most in (
        (plan.decoders, usual.decoders),
        (plan.limits, usual.limits),
        (plan.connections, usual.connections),
    ):
        assert all(
            a is b is None or a <= b for a, b in zip(astuple(one), astuple(most), strict=True)
        )
    assert 1 <= plan.decoder_count <= cores
    assert plan.limits.body_bytes == usual.limits.body_bytes
    assert plan.limits.waiting_pictures >= MAX_PHOTOS


def test_a_size_that_is_too_small_is_refused_with_the_least_that_is_enough() -> None:
    with pytest.raises(SettingsError, match="MEMORY=900 MB is too little") as refused:
        divide(900_000_000, models=600_000_000, photo=PHOTO, cores=2)
    least = int(str(refused.value).split(" MB is the least")[0].split()[-1].replace(",", ""))
    divide(1_000_000 * (least + 1), models=600_000_000, photo=PHOTO, cores=2)


def test_with_much_memory_every_part_has_its_usual_limit() -> None:
    plan = divide(10**11, models=10**9, photo=PHOTO, cores=8)
    usual = MemoryPlan()
    assert (plan.decoders, plan.limits, plan.connections) == (
        usual.decoders,
        usual.limits,
        usual.connections,
    )
    assert "12 decoders, 645 MB each" in describe(plan, models=10**9, photo=PHOTO)

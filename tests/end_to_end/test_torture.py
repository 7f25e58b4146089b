"""The short form of `make torture`; its seed is new each time, and is printed where it fails."""

import random

from tests.end_to_end.torture import torture


def test_after_any_mishaps_a_quiet_run_leaves_every_product_right() -> None:
    seed = random.SystemRandom().randrange(10**6)
    outcome = torture(products=400, workers=3, events=8, seed=seed)
    assert outcome.is_good, outcome.lines()

"""A short form of `make torture`; its random seed is printed on failure."""

import random

from tests.end_to_end.torture import torture


def test_after_random_failures_one_undisturbed_run_makes_every_product_right() -> None:
    seed = random.SystemRandom().randrange(10**6)
    outcome = torture(products=400, workers=3, events=8, seed=seed)
    assert outcome.is_good, [f"seed {seed}", *outcome.lines()]

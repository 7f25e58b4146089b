"""Runs the fuzzers for a while: `python -m tests.fuzz [--seconds N] [--seed N] [TARGET...]`.

A seed is printed for each round of examples. What fails is reduced to a small input, saved below
`tests/fuzz/found`, and tried by every later run and by the tests.
"""

import argparse
import logging
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, Target

ROUND = 250
"""How many inputs one seed makes."""


def fuzz(target: Target, seconds: float, first_seed: int | None) -> int:
    """Try inputs for so many seconds; return how many findings there were."""
    counts: Counter[str] = Counter()
    end = monotonic() + seconds
    with target.checker() as check:
        for finding in target.findings():
            check(finding)
        number = random.SystemRandom().getrandbits(32) if first_seed is None else first_seed
        while monotonic() < end:
            print(f"{target.name}: seed {number}, {counts['inputs']} inputs so far", flush=True)
            counts["findings"] += _round(target, check, number, counts)
            number += 1
    print(f"{target.name}: {counts['inputs']} inputs, {counts['findings']} findings", flush=True)
    return counts["findings"]


def _round(target: Target, check: Callable[[Any], None], number: int, counts: Counter[str]) -> int:
    last: list[Any] = []

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=target.inputs)
    def try_it(case: Any) -> None:
        counts["inputs"] += 1
        last[:] = [case]
        check(case)

    try:
        try_it()
    except Exception:  # whatever the code under test lets through is a finding
        traceback.print_exc()
        print(f"{target.name}: seed {number} fails; saved as {target.save(last[0])}", flush=True)
        return 1
    return 0


def main() -> int:
    """Run the fuzzers that are named, or all; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=[], help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60, help="for each fuzzer")
    parser.add_argument("--seed", type=int, help="the seed of the first round")
    given_arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # of what the readers say about each input
    if unknown := set(given_arguments.targets) - TARGETS.keys():
        parser.error(f"there is no fuzzer {', '.join(sorted(unknown))}")
    names = given_arguments.targets or list(TARGETS)
    found = [fuzz(TARGETS[name], given_arguments.seconds, given_arguments.seed) for name in names]
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())

"""Runs a torture test with one seed after another, and says each seed and its outcome."""

import random
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

Outcome = tuple[bool, str]
"""Whether nothing was wrong, and what happened, in a line."""


def run_seeds(parser: ArgumentParser, run: Callable[[int, Namespace], Outcome]) -> int:
    """Call `run` with each seed and the options; return the exit status: 1 if anything was wrong.

    The parser gets `--runs N` and `--seed S`; the seeds are S, S + 1, and so on. A run that raises
    an error is wrong, and the next one follows.
    """
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    wrong = []
    for seed in range(options.seed, options.seed + options.runs):
        _say(f"seed {seed}: ")
        try:
            is_good, what = run(seed, options)
        except Exception:
            is_good, what = False, traceback.format_exc()
        _say(f"{'good' if is_good else 'WRONG'}: {what}\n")
        if not is_good:
            wrong.append(seed)
    seeds = f": seeds {', '.join(map(str, wrong))}" if wrong else ""
    _say(f"{options.runs} runs, {len(wrong)} wrong{seeds}\n")
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

"""Runs a siege and prints its table; see `tests.siege.siege`."""

import argparse
import asyncio
import os
import sys

from tests.siege.besieged import Besieged, besieged
from tests.siege.plan import LARGEST_BODY, PLAN
from tests.siege.siege import MAX_P95, Outcome, Row, outcome_of, siege

HEADER = (
    f"{'attack':<26} {'server':<13} {'what the attackers got':<44}"
    f" {'asked':>6} {'p50 s':>6} {'p95 s':>6} {'failed':>6} {'memory MB':>14}"
)


def main() -> int:
    """Run a siege; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="in all (default: 600)")
    seconds = parser.parse_args().seconds
    _say(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    _say(HEADER)
    with besieged() as servers:
        outcome = asyncio.run(_besiege(servers, seconds))
    for failure in outcome.failures:
        _say(failure)
    asked = sum(len(row.felt.seconds) for row in outcome.rows)
    is_good = not outcome.failures and outcome.p95 <= MAX_P95
    _say(
        f"{'good' if is_good else 'WRONG'}: {asked} requests of the well-behaved caller, p95"
        f" {outcome.p95:.2f} s (at the most {MAX_P95:g}), {len(outcome.failures)} things wrong"
    )
    return 0 if is_good else 1


async def _besiege(servers: Besieged, seconds: float) -> Outcome:
    each = seconds / (len(PLAN) + 5)
    async with siege(servers, 1.0, LARGEST_BODY, lambda row: _say(_line(row))) as attackers:
        await attackers.nobody(each)
        await attackers.each(each, LARGEST_BODY)
        await attackers.without_database(each)
        await attackers.all_at_once(2 * each, LARGEST_BODY)
    return outcome_of(servers, attackers.rows)


def _line(row: Row) -> str:
    got = ", ".join(f"{count} x {end}" for end, count in sorted(row.got.items()) if count)
    told = f" ({row.felt.told} told)" if row.felt.told else ""
    before, after = (size / 1e6 for size in row.memory)
    return (
        f"{row.name:<26} {row.server:<13} {got:<44}"
        f" {len(row.felt.seconds):>6} {row.felt.quantile(50):>6.2f} {row.felt.quantile(95):>6.2f}"
        f" {len(row.felt.failures):>6} {before:>6.0f} {after:>7.0f}{told}"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

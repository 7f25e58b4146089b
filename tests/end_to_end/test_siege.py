"""A short form of `make siege`: all attacks at once, and a database that goes away."""

import asyncio

from tests.siege.besieged import besieged
from tests.siege.siege import Outcome, outcome_of, siege

BODY = 1_900_000


def test_no_attack_takes_either_server_from_the_others() -> None:
    async def short(seconds: float) -> Outcome:
        async with siege(servers, 0.5, BODY, lambda _row: None) as attackers:
            await attackers.all_at_once(seconds, BODY)
            await attackers.without_database(2)
        return outcome_of(servers, attackers.rows)

    with besieged() as servers:
        outcome = asyncio.run(short(15))
    assert outcome.failures == []
    got = outcome.rows[0].got
    assert got["408"] + got["closed"] > 0
    assert got["401"] > 0
    assert got["422"] + got["413"] > 0

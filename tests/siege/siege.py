"""A siege: all attacks, one after another and all at once, beside a caller who behaves well.

    python -m tests.siege [--seconds 600]

`shelfsight serve` and `serve-models` run with small limits. Other callers attack them; this one
scans every second, from an address and with a key of its own. None of its scans may fail.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from time import monotonic, perf_counter

from tests.siege.attacks import Ends
from tests.siege.besieged import Besieged
from tests.siege.plan import PLAN, Aim, Planned, prepare
from tests.siege.process_memory import server_and_decoders
from tests.siege.well_behaved import Felt, WellBehaved, well_behaved

MAX_P95 = 2.0
"""Seconds in which 95% of the well-behaved caller's requests must be answered."""

DATABASE_AWAY = 3.0
"""Seconds for which the database is paused or killed, at the most."""


@dataclass(kw_only=True)
class Row:
    """One line of the table: an attack, what its callers got, and what the others felt.

    The memory is in bytes: of the attacked server (or of both) with its decoders, before and after.
    """

    name: str
    server: str
    got: Ends = field(default_factory=Ends)
    felt: Felt = field(default_factory=Felt)
    seconds: float = 0.0
    memory: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The rows of a siege, and what was wrong besides."""

    rows: list[Row]
    complaints: list[str]

    @property
    def failures(self) -> list[str]:
        """What was wrong: requests that failed, bugs, and ends that no attacker should get."""
        failed = [f"{row.name}: {one}" for row in self.rows for one in row.felt.failures]
        bugs = [
            f"{row.name}: attackers got {row.got['500']} x 500"
            for row in self.rows
            if row.got["500"]
        ]
        return failed + bugs + self.complaints

    @property
    def p95(self) -> float:
        """Seconds in which 95% of the well-behaved requests of the whole siege were answered."""
        return Felt(seconds=[one for row in self.rows for one in row.felt.seconds]).quantile(95)


Say = Callable[[Row], None]


async def besiege(
    servers: Besieged, seconds: float, interval: float, body_bytes: int, say: Say
) -> Outcome:
    """Run all attacks for about this many seconds in all; `say` is called with each row.

    The caller asks at each `interval` seconds. Large bodies of attackers have `body_bytes`.
    """
    each = seconds / (len(PLAN) + 5)
    rows: list[Row] = []

    async with well_behaved(servers, interval) as caller:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as attackers:
            loop = asyncio.get_running_loop()

            async def phase(row: Row, attack: Awaitable[Ends | None]) -> None:
                before, began = _memory(servers, row.server), perf_counter()

                async def noted() -> None:
                    row.got += await attack or Ends()

                await caller.during(noted(), row.felt)
                row.seconds = perf_counter() - began
                row.memory = before, _memory(servers, row.server)
                rows.append(row)
                say(row)

            await asyncio.gather(
                loop.run_in_executor(attackers, prepare, body_bytes), caller.until_ready()
            )
            await phase(Row(name="nobody attacks", server="both"), asyncio.sleep(each))
            for number, planned in enumerate(PLAN):
                aim = _aim(servers, planned, each, body_bytes)
                running = loop.run_in_executor(attackers, _attack, {number: aim})
                await phase(Row(name=planned.name, server=planned.server), running)
            for name, happen in (("database paused", _pause), ("database killed", _kill)):
                await phase(Row(name=name, server="serve"), happen(servers, caller, each))
            aims = {
                number: _aim(servers, one, 2 * each, body_bytes) for number, one in enumerate(PLAN)
            }
            running = loop.run_in_executor(attackers, _attack, aims)
            await phase(Row(name="all at once", server="both"), running)
            await caller.until_ready()
    return Outcome(rows=rows, complaints=servers.complaints() + servers.end())


def _aim(servers: Besieged, planned: Planned, seconds: float, body_bytes: int) -> Aim:
    is_scan = planned.server == "serve"
    return Aim(
        url=servers.scans_url if is_scan else servers.models_url,
        key=servers.greedy if is_scan else "",
        seconds=seconds,
        body_bytes=body_bytes,
        silent_hosts=servers.silent_hosts,
    )


def _attack(aims: dict[int, Aim]) -> Ends:
    """Run attacks, by their number in the plan, together and each again and again."""

    async def one(planned: Planned, aim: Aim) -> Ends:
        ends, until = Ends(), monotonic() + aim.seconds
        while (rest := until - monotonic()) > 0:
            ends += await planned.attack(replace(aim, seconds=rest))
        return ends

    async def together() -> Ends:
        return sum(
            await asyncio.gather(*(one(PLAN[number], aim) for number, aim in aims.items())), Ends()
        )

    return asyncio.run(together())


async def _pause(servers: Besieged, caller: WellBehaved, seconds: float) -> None:
    caller.database_is_away = True
    servers.postgres.freeze()
    await asyncio.sleep(min(DATABASE_AWAY, seconds / 2))
    servers.postgres.thaw()
    await caller.until_ready()
    caller.database_is_away = False
    await asyncio.sleep(seconds / 2)


async def _kill(servers: Besieged, caller: WellBehaved, seconds: float) -> None:
    caller.database_is_away = True
    servers.postgres.kill()
    await asyncio.sleep(min(DATABASE_AWAY, seconds / 2))
    await asyncio.to_thread(servers.postgres.start)
    await caller.until_ready()
    caller.database_is_away = False
    await asyncio.sleep(seconds / 2)


def _memory(servers: Besieged, server: str) -> int:
    found = [
        server_and_decoders(process.pid)
        for name, process in (("serve", servers.scans), ("serve-models", servers.models))
        if server in (name, "both")
    ]
    return sum(server.pss + decoders.pss for server, decoders in found)

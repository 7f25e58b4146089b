"""A siege: all attacks, one after another and all at once, beside a caller who behaves well.

    python -m tests.siege [--seconds 600]

`shelfsight serve` and `serve-models` run with small limits. Other callers attack them; this one
scans every second, from an address and with a key of its own. None of its scans may fail.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from time import monotonic

from tests.siege.attacks import Ends
from tests.siege.besieged import MEMORY, Besieged
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
        too_large = [
            f"{row.name}: serve takes {max(row.memory) / 1e6:,.0f} MB, more than MEMORY"
            for row in self.rows
            if row.server == "serve" and max(row.memory) > MEMORY
        ]
        return failed + bugs + too_large + self.complaints

    @property
    def p95(self) -> float:
        """Seconds in which 95% of the well-behaved requests of the whole siege were answered."""
        return Felt(seconds=[one for row in self.rows for one in row.felt.seconds]).quantile(95)


Say = Callable[[Row], None]


class Siege:
    """The phases of a siege: in each, some attack while the well-behaved caller goes on."""

    def __init__(
        self, servers: Besieged, caller: WellBehaved, attackers: Executor, say: Say
    ) -> None:
        self._servers = servers
        self._caller = caller
        self._attackers = attackers
        self._say = say
        self.rows: list[Row] = []

    async def nobody(self, seconds: float) -> None:
        """Let the caller go on alone."""
        await self._phase(Row(name="nobody attacks", server="both"), asyncio.sleep(seconds))

    async def each(self, seconds: float, body_bytes: int) -> None:
        """Run one attack after the other, each for this many seconds."""
        for number, planned in enumerate(PLAN):
            aims = {number: _aim(self._servers, planned, seconds, body_bytes)}
            await self._phase(Row(name=planned.name, server=planned.server), self._attack(aims))

    async def all_at_once(self, seconds: float, body_bytes: int) -> None:
        """Run all attacks at the same time."""
        aims = [_aim(self._servers, planned, seconds, body_bytes) for planned in PLAN]
        attack = self._attack(dict(enumerate(aims)))
        await self._phase(Row(name="all at once", server="both"), attack)

    async def without_database(self, seconds: float) -> None:
        """Pause the database and let it go on; then kill it and start it."""
        postgres = self._servers.postgres
        for name, stop, go_on in (
            ("database paused", postgres.freeze, postgres.thaw),
            ("database killed", postgres.kill, postgres.start),
        ):
            row = Row(name=name, server="serve")
            await self._phase(row, self._database_away(stop, go_on, seconds))

    async def _database_away(
        self, stop: Callable[[], None], go_on: Callable[[], None], seconds: float
    ) -> None:
        self._caller.database_is_away = True
        stop()
        await asyncio.sleep(min(DATABASE_AWAY, seconds / 2))
        await asyncio.to_thread(go_on)
        await self._caller.until_ready()
        self._caller.database_is_away = False
        await asyncio.sleep(seconds / 2)

    def _attack(self, aims: dict[int, Aim]) -> Awaitable[Ends]:
        return asyncio.get_running_loop().run_in_executor(self._attackers, _attack, aims)

    async def _phase(self, row: Row, attack: Awaitable[Ends | None]) -> None:
        before = _memory(self._servers, row.server)

        async def noted() -> None:
            row.got += await attack or Ends()

        await self._caller.during(noted(), row.felt)
        row.memory = before, _memory(self._servers, row.server)
        self.rows.append(row)
        self._say(row)


@asynccontextmanager
async def siege(
    servers: Besieged, interval: float, body_bytes: int, say: Say
) -> AsyncIterator[Siege]:
    """Prepare a siege; `say` is called with each row.

    The caller asks at each `interval` seconds. Large bodies of attackers have `body_bytes`.
    """
    spawn = get_context("spawn")
    async with well_behaved(servers, interval) as caller:
        with ProcessPoolExecutor(1, mp_context=spawn) as attackers:
            await asyncio.get_running_loop().run_in_executor(attackers, prepare, body_bytes)
            await caller.until_ready()
            yield Siege(servers, caller, attackers, say)
            await caller.until_ready()


def outcome_of(servers: Besieged, rows: list[Row]) -> Outcome:
    """End both servers, and return the outcome."""
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


def _memory(servers: Besieged, server: str) -> int:
    found = [
        server_and_decoders(process.pid)
        for name, process in (("serve", servers.scans), ("serve-models", servers.models))
        if server in (name, "both")
    ]
    return sum(server.pss + decoders.pss for server, decoders in found)

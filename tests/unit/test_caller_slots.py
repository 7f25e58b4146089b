"""Slots of each caller: one caller's wait does not become that of another."""

import asyncio
import gc

from shelfsight.serving.caller_slots import CallerSlots


def test_a_caller_waits_for_its_own_slots_only() -> None:
    async def main() -> None:
        slots, gate = CallerSlots(2), asyncio.Event()
        inside: list[str] = []

        async def occupy(caller: str) -> None:
            async with slots.of(caller):
                inside.append(caller)
                await gate.wait()

        tasks = [asyncio.create_task(occupy(caller)) for caller in ("many",) * 5 + ("one",)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(inside) == ["many", "many", "one"]
        assert len(slots) == 2
        gate.set()
        await asyncio.gather(*tasks)
        assert len(inside) == 6
        del tasks
        gc.collect()
        assert len(slots) == 0

    asyncio.run(main())

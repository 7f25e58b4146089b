"""Which connection gives way to another."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.serving.callers import address_group
from shelfsight.serving.connections import Activity, ConnectionTable, TrustedProxies
from shelfsight.serving.limits import ConnectionLimits

LIMITS = ConnectionLimits(connections=12, per_address=5)


@dataclass(eq=False)
class Fake:
    host: str
    since: float
    activity: Activity = Activity.IDLE
    dropped: list[str] = field(default_factory=list)

    def drop(self) -> None:
        self.dropped.append(self.host)

    def close_if_late(self, now: float) -> None:
        pass


opened = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(Activity), st.booleans()), max_size=80
)


@given(opened)
def test_there_are_never_more_connections_than_allowed_and_a_new_address_gets_in(
    steps: list[tuple[int, Activity, bool]],
) -> None:
    async def main() -> None:
        table, here = ConnectionTable(LIMITS, TrustedProxies()), list[Fake]()
        for number, (last, activity, closes) in enumerate(steps):
            connection = Fake(f"10.0.0.{last}", number, activity)
            own = [one for one in here if one.host == connection.host]
            admitted = table.admit(connection)
            here = [one for one in here if not one.dropped]
            if admitted:
                here.append(connection)
            else:
                count = Counter(one.host for one in here)
                larger = [one for one in here if count[one.host] > len(own) or one in own]
                assert all(one.activity is Activity.ANSWERED for one in larger)
                assert len(own) == LIMITS.per_address or max(count.values()) <= len(own) + 1
            assert len(here) == len(table) <= LIMITS.connections
            assert sum(one.host == connection.host for one in here) <= LIMITS.per_address
            if closes and here:
                table.remove(here.pop(0))

    asyncio.run(main())


def test_the_connection_that_waits_longest_gives_way_and_one_that_is_answered_does_not() -> None:
    async def main() -> None:
        table = ConnectionTable(LIMITS, TrustedProxies())
        kinds = [
            Activity.ANSWERED,
            Activity.SENDING,
            Activity.IDLE,
            Activity.IDLE,
            Activity.SENDING,
        ]
        ours = [Fake("10.0.0.1", number, kind) for number, kind in enumerate(kinds)]
        assert all(map(table.admit, ours))
        gone: list[Fake] = []
        for number in range(4):
            assert table.admit(Fake("10.0.0.1", 10 + number, Activity.ANSWERED))
            gone += [one for one in ours if one.dropped and one not in gone]
        assert gone == [ours[2], ours[3], ours[1], ours[4]]
        assert not table.admit(Fake("10.0.0.1", 20))
        assert table.admit(Fake("10.0.0.2", 20))

    asyncio.run(main())


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    async def main() -> None:
        table = ConnectionTable(LIMITS, TrustedProxies(["10.0.0.0/8"]))
        for number in range(LIMITS.connections):
            assert table.admit(Fake("10.0.0.1", number, Activity.ANSWERED))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_an_ipv6_site_is_one_caller(host: str, group: str) -> None:
    assert address_group(host) == group

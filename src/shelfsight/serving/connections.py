"""The open connections of a server: how many there may be, and which one gives way to another."""

import asyncio
import resource
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import ip_address, ip_network
from typing import Protocol

from shelfsight.serving.callers import address_group
from shelfsight.serving.limits import ConnectionLimits

SWEEP_SECONDS = 0.5
"""How often connections are checked for what takes too long."""


class Activity(IntEnum):
    """What a connection does now. The lowest gives way first."""

    IDLE = 0
    SENDING = 1
    ANSWERED = 2


class Connection(Protocol):
    """A connection as the table sees it. `since` is the loop's time of its last response."""

    host: str
    since: float

    @property
    def activity(self) -> Activity:
        """Whether it waits for headers, for a body, or for its response."""
        ...

    def drop(self) -> None:
        """Close the connection at once."""
        ...

    def close_if_late(self, now: float) -> None:
        """Close the connection if its client takes too long."""
        ...


class TrustedProxies:
    """The addresses and networks of proxies whose `X-Forwarded-For` is believed."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(name, strict=False) for name in networks]
        self.names = tuple(map(str, self._networks))

    def __contains__(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class ConnectionTable:
    """Admits connections, at most `capacity` at a time. For use from one event loop.

    At a limit, the newcomer takes the place of the connection that has waited longest: of the same
    address at the limit of an address, else of the address with the most connections where one
    waits. A request in progress is only broken off in favour of an address that has fewer
    connections.
    """

    def __init__(
        self, limits: ConnectionLimits | None = None, proxies: TrustedProxies | None = None
    ) -> None:
        self.limits = limits or ConnectionLimits()
        self.proxies = proxies or TrustedProxies()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = files == resource.RLIM_INFINITY
        most = self.limits.connections
        self.capacity = most if unlimited else min(most, files // 2)
        self._by_address: dict[str, set[Connection]] = {}
        self._count = 0
        self._is_sweeping = False

    def admit(self, connection: Connection) -> bool:
        """Add a connection, and drop another one if necessary; return whether there is a place."""
        address = address_group(connection.host)
        own = self._by_address.get(address, set())
        limited = connection.host not in self.proxies
        if limited and len(own) >= self.limits.per_address and not self._drop_one(own):
            return False
        if self._count >= self.capacity and not self._make_room_for(own):
            return False
        self._by_address.setdefault(address, set()).add(connection)
        self._count += 1
        self._sweep_soon()
        return True

    def remove(self, connection: Connection) -> None:
        """Remove a connection, if it is in the table."""
        address = address_group(connection.host)
        own = self._by_address.get(address, set())
        if connection in own:
            own.remove(connection)
            self._count -= 1
            if not own:
                del self._by_address[address]

    def __len__(self) -> int:
        return self._count

    def _make_room_for(self, own: set[Connection]) -> bool:
        """Drop a connection of an address that has more than `own`, or else one of `own`."""
        by_size = sorted(self._by_address.values(), key=len, reverse=True)
        larger = [others for others in by_size if len(others) > len(own)]
        return any(
            self._drop_one(group, may_break=len(group) > len(own) + 1)
            for group in [*(larger or by_size[:1]), own]
            if group
        )

    def _drop_one(self, connections: set[Connection], *, may_break: bool = False) -> bool:
        victim = min(connections, key=lambda one: (one.activity, one.since))
        if victim.activity is Activity.ANSWERED and not may_break:
            return False
        self.remove(victim)
        victim.drop()
        return True

    def _sweep_soon(self) -> None:
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connections in list(self._by_address.values()):
            for connection in list(connections):
                connection.close_if_late(now)
        self._is_sweeping = False
        if self._count:
            self._sweep_soon()

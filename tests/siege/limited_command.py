"""Runs `shelfsight` with small limits for connections, and with a name server of the caller's.

    python -m tests.siege.limited_command NAMESERVER serve --port 0

The limits are smaller than those of a server in use, so that a siege reaches each of them soon.
"""

import sys
from functools import partial

from shelfsight.cli import main
from shelfsight.images import download
from shelfsight.images.names import NameResolver
from shelfsight.serving import connections
from shelfsight.serving.connections import ConnectionTable, TrustedProxies
from shelfsight.serving.limits import ConnectionLimits

CONNECTIONS = 96
PER_ADDRESS = 48

SMALL = ConnectionLimits(
    connections=CONNECTIONS,
    per_address=PER_ADDRESS,
    header_bytes=8_000,
    headers=50,
    header_seconds=2,
    body_seconds=4,
    response_seconds=3,
    idle_seconds=5,
)


class SmallTable(ConnectionTable):
    """A table with small limits."""

    def __init__(
        self, _limits: ConnectionLimits | None = None, proxies: TrustedProxies | None = None
    ) -> None:
        super().__init__(SMALL, proxies)


if __name__ == "__main__":
    download.NameResolver = partial(NameResolver, [sys.argv.pop(1)])
    connections.ConnectionTable = SmallTable
    main()

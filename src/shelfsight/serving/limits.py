"""Limits of a single request, of all requests in progress together, and of connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of a server: counts, bytes and seconds.

    The `waiting_*` limits apply to all unanswered requests together, and callers share them fairly
    (`fair_capacity`). All other limits apply to one request. `tokens` counts its tokens after each
    text was cut to the maximum of the model. A worker counts as stuck after `stuck_seconds` in the
    same batch. Limits of a single picture are in `images.decode`.
    """

    body_bytes: int = 32_000_000
    pictures: int = 256
    texts: int = 2048
    tokens: int = 300_000
    waiting_bytes: int = 128_000_000
    waiting_pictures: int = 1024
    waiting_texts: int = 4096
    body_seconds: float = 30
    stuck_seconds: float = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections: counts, bytes and seconds.

    `connections` is lowered to half of the file descriptors that the process may open.
    `header_bytes` and `headers` apply to one request; the URL counts as a header. `pipelined`
    requests of a connection may wait for the response to an earlier one. The headers must arrive
    within `header_seconds`, then the body within `body_seconds`. An idle connection is closed after
    `idle_seconds`. A client has `response_seconds` to read its response.
    """

    connections: int = 512
    per_address: int = 128
    header_bytes: int = 32_768
    headers: int = 100
    pipelined: int = 32
    header_seconds: float = 10
    body_seconds: float = 40
    idle_seconds: int = 75
    response_seconds: float = 60

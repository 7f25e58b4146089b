"""Divides the memory that a scan server may take among its decoders and its stores."""

from dataclasses import dataclass, field, replace

from shelfsight.errors import SettingsError
from shelfsight.images.decoder import limits
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.serving.limits import ConnectionLimits, ServerLimits
from shelfsight.serving.scan_api.recent_scans import MAX_BYTES as RECENT_BYTES
from shelfsight.serving.scan_api.requests import MAX_PHOTOS

DECODERS, BODIES, PHOTOS, CONNECTIONS, CACHES = 0.60, 0.20, 0.08, 0.07, 0.05
"""Shares of the memory that the models leave."""

BODY_COPIES = 4
"""Bytes for each byte of a body: itself, its text, the decoded file, the copy for the decoder."""

PHOTO_COPIES = 2
"""Bytes for each byte of a decoded photo: its views, and what the model is given."""

CONNECTION_BYTES = 200_000
"""Bytes of a connection: headers, and what was not read yet of its body and of its response."""

CACHE_COPIES = 1.5
"""Bytes for each byte of a cached value, since values of many sizes leave gaps between them."""

DECODER_BYTES = 45_000_000
"""Bytes of a decoder process that decodes nothing."""

MIN_PICTURE_BYTES = 200_000_000
"""The least memory for decoding a picture: a PNG of 25 megapixels needs about as much."""

SMALL_STORES = 50_000_000
"""Bytes of the stores that are not divided: facts about the database, hosts, rate limits."""

MAP_BYTES = 16_000_000
"""Bytes of the maps in memory, one of each owner whose page was opened lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """What each part of a scan server may take; without arguments the usual limits.

    `decoders` limits each decoder process. `decoder_count` is the size of their pool; None means
    one per core. `recent_bytes` and `map_bytes` are for the recent scans and the catalogue's maps.
    """

    decoders: DecoderLimits = field(default_factory=lambda: limits.SERVER)
    decoder_count: int | None = None
    limits: ServerLimits = field(default_factory=ServerLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    recent_bytes: int = RECENT_BYTES
    map_bytes: int = MAP_BYTES


def divide(size: int, *, models: int, photo: int, cores: int) -> MemoryPlan:
    """Divide `size` bytes: `models` are taken already, and a decoded photo takes `photo` bytes.

    No part gets more than its usual limit, and there are at most `cores` decoders besides those for
    pictures that take long.

    Raises:
        SettingsError: the size is too small; the message says what is needed.
    """
    usual = MemoryPlan()
    needed = models + SMALL_STORES + _least(photo)
    if size < needed:
        raise SettingsError(
            f"MEMORY={_mega(size)} is too little: the models and the server take"
            f" {_mega(models + SMALL_STORES)}, so {_mega(needed)} is the least"
        )
    rest = size - models - SMALL_STORES
    count = max(n for n in range(1, cores + 1) if n == 1 or _decoders(n) <= DECODERS * rest)
    per_decoder = int(DECODERS * rest) // _processes(count) - DECODER_BYTES
    bodies = min(usual.limits.waiting_bytes, int(BODIES * rest) // BODY_COPIES)
    photos = min(usual.limits.waiting_pictures, int(PHOTOS * rest) // (PHOTO_COPIES * photo))
    connections = min(usual.connections.connections, int(CONNECTIONS * rest) // CONNECTION_BYTES)
    caches = int(CACHES * rest / CACHE_COPIES)
    return MemoryPlan(
        decoders=replace(
            usual.decoders, memory_bytes=min(usual.decoders.memory_bytes, per_decoder)
        ),
        decoder_count=count,
        limits=replace(
            usual.limits,
            waiting_bytes=bodies,
            body_bytes=min(usual.limits.body_bytes, bodies),
            waiting_pictures=photos,
        ),
        connections=replace(
            usual.connections,
            connections=connections,
            per_address=min(usual.connections.per_address, max(1, connections // 4)),
        ),
        recent_bytes=min(usual.recent_bytes, caches * 2 // 3),
        map_bytes=min(usual.map_bytes, caches // 3),
    )


def parts(plan: MemoryPlan, *, models: int, photo: int) -> dict[str, int]:
    """Return the bytes that each part may take, by its name for people."""
    processes = _processes(plan.decoder_count or 1)
    decoder = plan.decoders.memory_bytes + DECODER_BYTES
    return {
        "the models and the server": models + SMALL_STORES,
        f"{processes} decoders, {_mega(decoder)} each": processes * decoder,
        "bodies": plan.limits.waiting_bytes * BODY_COPIES,
        f"{plan.limits.waiting_pictures} photos": (
            plan.limits.waiting_pictures * photo * PHOTO_COPIES
        ),
        f"{plan.connections.connections} connections": (
            plan.connections.connections * CONNECTION_BYTES
        ),
        "recent scans and maps": int((plan.recent_bytes + plan.map_bytes) * CACHE_COPIES),
    }


def describe(plan: MemoryPlan, *, models: int, photo: int) -> str:
    """Say in a line how the memory was divided."""
    divided = parts(plan, models=models, photo=photo)
    told = ", ".join(f"{_mega(part)} for {name}" for name, part in divided.items())
    return f"up to {_mega(sum(divided.values()))} of memory: {told}"


def _least(photo: int) -> int:
    """Return the least that the models must leave, for a request with as many photos as allowed."""
    usual = ServerLimits()
    return int(
        max(
            _decoders(1) / DECODERS,
            usual.body_bytes * BODY_COPIES / BODIES,
            MAX_PHOTOS * photo * PHOTO_COPIES / PHOTOS,
        )
    )


def _decoders(count: int) -> int:
    return _processes(count) * (DECODER_BYTES + MIN_PICTURE_BYTES)


def _processes(count: int) -> int:
    """Return the processes of a pool of this size, with those for pictures that take long."""
    return count + max(1, count // 2)


def _mega(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"

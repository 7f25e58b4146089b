"""The limits of a decoder process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """What one picture may take: bytes, and seconds.

    Attributes:
        memory_bytes: memory beyond what a decoder process has at its start. Linux enforces it
            (`RLIMIT_AS`); macOS does not.
        cpu_seconds: processor time, which the kernel counts in whole seconds (`RLIMIT_CPU`).
        wall_seconds: time on the clock, after which a decoder process is killed.
        quick_seconds: processor time after which a picture gives its place to others, and goes on
            with a lower priority. With None, it keeps its place.
    """

    memory_bytes: int = 600_000_000
    cpu_seconds: int = 5
    wall_seconds: float = 30
    quick_seconds: float | None = None


BACKFILL = DecoderLimits()
"""Every picture keeps its place until it is done: nobody waits for a single one."""

SERVER = DecoderLimits(quick_seconds=0.5)
"""A picture that takes long is set aside, because other callers wait."""

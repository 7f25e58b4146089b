"""Whether the weights of models have room in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shelfsight.embedding.local.available_memory import available_memory

_ROOM_TO_RUN = 2_000_000_000
"""Bytes that a run of a model, the pictures of a backfill and the rest of a process may take."""


def has_room_for(graph: Path) -> bool:
    """Return whether this machine has the memory to hold a graph's weights and to run it fast.

    ONNX Runtime copies the weights into an order that suits the processor. SigLIP and Qwen3 of full
    size then take 0.4 and 1.8 GB of their own, and less than 0.1 GB without. That costs 25% more
    processor time for a picture; for a text of 64 tokens 60%, of 256 20%, of 512 5%.
    """
    return weights_in_memory([graph]).fit


class WeightsInMemory(NamedTuple):
    """The bytes that this machine has for weights (None if it does not say), and those needed."""

    available: int | None
    needed: int

    @property
    def fit(self) -> bool:
        """Whether the weights are held in memory; otherwise they stay in their files."""
        return self.available is None or self.available > self.needed


def weights_in_memory(graphs: Sequence[Path]) -> WeightsInMemory:
    """Return how much memory there is for the weights of graphs, and what they need to run fast."""
    return WeightsInMemory(available_memory(), sum(map(weights_of, graphs)) + _ROOM_TO_RUN)


def weights_of(graph: Path) -> int:
    """Return the bytes of a graph's file, and of the file beside it that may hold its weights."""
    files = (graph, graph.with_name(f"{graph.name}_data"))
    return sum(file.stat().st_size for file in files if file.is_file())

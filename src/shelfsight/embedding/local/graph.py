"""The interface of a loaded network, and batches in which a bad item fails without the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.width import fit_width
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device
from shelfsight.records import Failure, Stage, Vector

Item = TypeVar("Item")


class RunError(Exception):
    """The graph refuses these items, or lacks the memory for them. The message is a single line."""

    def __init__(self, reason: object) -> None:
        super().__init__(str(reason).partition("\n")[0])


class Graph(Protocol):
    """A loaded network with one output. Several threads may run it at the same time."""

    @property
    def name(self) -> str:
        """The name of the model, for messages."""
        ...

    @property
    def device(self) -> Device:
        """The device on which the network really runs."""
        ...

    @property
    def inputs(self) -> Mapping[str, Sequence[Any]]:
        """The shape of each input. Dynamic dimensions are given as names instead of numbers."""
        ...

    def run(
        self, feeds: Mapping[str, NDArray[Any]], *, positions: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Compute the output (batch, width) for the inputs, which may have any dtype.

        With `positions` (batch,) the output of the network is (batch, length, width). Of each row
        of the batch, the state at its position is returned.

        Raises:
            RunError: the network cannot process these items.
            ModelError: the device is lost.
        """
        ...


def check(graph: Graph, trial: Callable[[], NDArray[Any]], width: int) -> None:
    """Run a single item, so that a graph of the wrong kind is refused before the first page.

    Raises:
        ModelError: the graph refuses the item, or its output does not have the shape (1, width).

    """
    try:
        shape = trial().shape
    except RunError as error:
        raise ModelError(f"{graph.name} refuses its input: {error}") from None
    if shape != (1, width):
        raise ModelError(f"{graph.name} gives the shape {shape}, but (1, {width}) is expected")


def embed_bisecting(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], NDArray[Any]],
    *,
    stage: Stage,
    column: int,
) -> list[Vector | Failure]:
    """Embed a batch and fit its vectors to the shape (column,). If the batch fails, bisect it.

    So an item that the model refuses fails without the others (`model_error`). The same holds for
    an item whose vector has no direction (`non_finite`).
    """
    try:
        vectors = run(items)
    except RunError as error:
        refused = Failure(stage=stage, kind="model_error", message=str(error))
    else:
        return _fit(vectors, stage, column)
    if len(items) == 1:
        return [refused]
    half = len(items) // 2
    return [
        result
        for part in (items[:half], items[half:])
        for result in embed_bisecting(part, run, stage=stage, column=column)
    ]


def _fit(vectors: NDArray[Any], stage: Stage, column: int) -> list[Vector | Failure]:
    no_direction = Failure(
        stage=stage, kind="non_finite", message="the model gave a vector of no direction"
    )
    fitted = fit_width(np.asarray(vectors, dtype=np.float32), column)
    return [vector if np.isfinite(vector).all() else no_direction for vector in fitted]

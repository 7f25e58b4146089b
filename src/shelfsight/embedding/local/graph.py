"""What a loaded network is to a model, whichever backend runs it; a bad item spoils no other."""

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
    """The graph refuses these items, or has no memory for so many; its first line says why."""

    def __init__(self, reason: object) -> None:
        super().__init__(str(reason).partition("\n")[0])


class Graph(Protocol):
    """A network of which one output is wanted. Threads may run it at the same time."""

    @property
    def name(self) -> str:
        """Of the model, for messages."""
        ...

    @property
    def device(self) -> Device:
        """Where it truly runs."""
        ...

    @property
    def inputs(self) -> Mapping[str, Sequence[Any]]:
        """The shape of each input; a free dimension has a name instead of a number."""
        ...

    def run(
        self, feeds: Mapping[str, NDArray[Any]], *, places: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Give the output for the inputs, whatever their dtypes.

        With `places` (batch,) it is, of states (batch, length, width), the one at each place.

        Raises:
            RunError: see there.
            ModelError: the device is lost.
        """
        ...


def check(graph: Graph, trial: Callable[[], NDArray[Any]], width: int) -> None:
    """Run a trial of one item, so that a graph of another kind is refused before the first page.

    Raises:
        ModelError: the graph refuses it, or gives another shape than (1, width).

    """
    try:
        shape = trial().shape
    except RunError as error:
        raise ModelError(f"{graph.name} refuses its input: {error}") from None
    if shape != (1, width):
        raise ModelError(f"{graph.name} gives the shape {shape}, but (1, {width}) is expected")


def embed_each(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], NDArray[Any]],
    *,
    stage: Stage,
    column: int,
) -> list[Vector | Failure]:
    """Run a batch and fit its vectors to their column; a batch that fails is halved.

    So an item that the model cannot take fails alone (`model_error`), and so does one whose
    vector has no direction (`non_finite`).
    """
    try:
        vectors = run(items)
    except RunError as error:
        refused = Failure(stage=stage, kind="model_error", message=str(error))
    else:
        return _fitted(vectors, stage, column)
    if len(items) == 1:
        return [refused]
    half = len(items) // 2
    return [
        result
        for part in (items[:half], items[half:])
        for result in embed_each(part, run, stage=stage, column=column)
    ]


def _fitted(vectors: NDArray[Any], stage: Stage, column: int) -> list[Vector | Failure]:
    lost = Failure(
        stage=stage, kind="non_finite", message="the model gave a vector of no direction"
    )
    fitted = fit_width(np.asarray(vectors, dtype=np.float32), column)
    return [vector if np.isfinite(vector).all() else lost for vector in fitted]

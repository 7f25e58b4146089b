"""The image model: turns pixels into vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local.graph import Graph, check, embed_bisecting
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device, ImageSpec
from shelfsight.ports import Advanced, ignore
from shelfsight.records import Failure, Pixels, Stage, Vector

_BATCH_SIZES: dict[Device, int] = {"cpu": 8, "cuda": 64}
"""How many pictures the model embeds in a run. On two cores larger runs are not faster and take
more memory. The number for the GPU was not measured."""


class ImageModel:
    """A loaded image model. Several threads may use it at the same time.

    `batch` is how many pictures the model embeds in a run, and `device` is what it runs on.

    Raises:
        ModelError: the graph does not match the model's row in `models/table.py`.

    """

    def __init__(self, spec: ImageSpec, graph: Graph) -> None:
        self.spec = spec
        self.device = graph.device
        self.batch = _BATCH_SIZES[graph.device]
        self._graph = graph
        self._input, *others = graph.inputs
        if others:
            raise ModelError(f"{spec.name}: the graph asks for {others[0]} besides pixels")
        side = spec.picture.side
        check(graph, lambda: self._run([np.zeros((side, side, 3), np.uint8)]), spec.width)

    def embed(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed pictures (side, side, 3) as unit vectors (spec.column,), in the same order."""
        results: list[Vector | Failure] = []
        for start in range(0, len(pictures), self.batch):
            batch = pictures[start : start + self.batch]
            results += embed_bisecting(batch, self._run, stage=Stage.IMAGE, column=self.spec.column)
            advanced(len(batch))
        return results

    def _run(self, pictures: Sequence[Pixels]) -> NDArray[Any]:
        pixels = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        pixels -= np.float32(self.spec.mean)
        pixels /= np.float32(self.spec.deviation)
        return self._graph.run({self._input: pixels})

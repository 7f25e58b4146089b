"""From pixels to image vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.models import ImageSpec
from shelfsight.embedding.session import Session, check, embed_each
from shelfsight.errors import ModelError
from shelfsight.records import Failure, Pixels, Stage, Vector

_BATCH = 8
"""Pictures a run: on two cores more are no faster, and use more memory."""


class ImageModel:
    """A loaded row of the table. Threads may use it at the same time.

    Raises:
        ModelError: the graph cannot be loaded, or is not what the row says.

    """

    def __init__(self, spec: ImageSpec, graph: bytes | Path) -> None:
        self.spec = spec
        self._session = Session(graph, name=spec.name, output=spec.output)
        self._input, *others = self._session.inputs
        if others:
            raise ModelError(f"{spec.name}: the graph asks for {others[0]} besides pixels")
        side = spec.picture.side
        check(self._session, lambda: self._run([np.zeros((side, side, 3), np.uint8)]), spec.width)

    def embed(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Unit vectors (spec.column,) of pictures (side, side, 3), in their order."""
        return [
            result
            for start in range(0, len(pictures), _BATCH)
            for result in embed_each(
                pictures[start : start + _BATCH],
                self._run,
                stage=Stage.IMAGE,
                column=self.spec.column,
            )
        ]

    def _run(self, pictures: Sequence[Pixels]) -> NDArray[Any]:
        pixels = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        pixels -= np.float32(self.spec.mean)
        pixels /= np.float32(self.spec.deviation)
        return self._session.run({self._input: pixels})

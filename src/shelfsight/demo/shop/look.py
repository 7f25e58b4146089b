"""What a product looks like before it is drawn: its print and its colours."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shelfsight.demo.shop.canvas import Canvas
from shelfsight.demo.shop.palettes import Palette, mix


@dataclass(frozen=True, slots=True)
class Look:
    """The print as a square image, whether it is a single picture, and the colours."""

    print: Image.Image
    single: bool
    palette: Palette
    random: np.random.Generator

    @property
    def cloth(self) -> str:
        """A colour for what is not printed on, that is not the print's ground."""
        return mix(self.palette.main, self.palette.ink, 0.12)

    @property
    def pale(self) -> str:
        """Nearly white, with a hint of the palette."""
        return mix("#fbfaf7", self.palette.paper, 0.12)


Draw = Callable[[Canvas, Look], None]
"""Draws one product on a canvas that shows only its backdrop."""

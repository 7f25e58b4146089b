"""The style of a product: the artwork and the colours that it is drawn with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shelfsight.demo.shop.canvas import Canvas
from shelfsight.demo.shop.palettes import Palette, mix


@dataclass(frozen=True, slots=True)
class Style:
    """What is printed on a product, in which colours, and the random numbers for its details.

    `artwork` is a square RGB image. `is_picture` tells a single picture, drawn once in the middle
    of the artwork, from a pattern that covers all of it.
    """

    artwork: Image.Image
    is_picture: bool
    palette: Palette
    random: np.random.Generator

    @property
    def base_colour(self) -> str:
        """The colour of unprinted parts; it differs from the background of the artwork."""
        return mix(self.palette.main, self.palette.ink, 0.12)

    @property
    def pale_colour(self) -> str:
        """A colour that is nearly white, with a hint of the palette."""
        return mix("#fbfaf7", self.palette.paper, 0.12)


DrawProduct = Callable[[Canvas, Style], None]
"""Draws one product on a canvas that only has a backdrop."""

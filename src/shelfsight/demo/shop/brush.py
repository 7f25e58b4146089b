"""Paints flat shapes on a square image, in unit coordinates."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from shelfsight.demo.shop.shapes import Point

Ink = str | int
"""A colour as #rrggbb, or a grey 0..255 on a mask."""


class Brush:
    """Draws on `image`; (0, 0) is its upper left corner and (1, 1) its lower right one.

    Edges are hard: pictures are drawn larger than they are kept, and made smaller in the end.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._side = image.width
        self._draw = ImageDraw.Draw(image)

    def shape(self, shape: Sequence[Point], ink: Ink) -> None:
        """Fill a polygon."""
        self._draw.polygon([(x * self._side, y * self._side) for x, y in shape], fill=ink)

    def line(self, points: Sequence[Point], width: float, ink: Ink) -> None:
        """Draw a line with round ends and joints."""
        scaled = [(x * self._side, y * self._side) for x, y in points]
        pixels = max(1, round(width * self._side))
        self._draw.line(scaled, fill=ink, width=pixels, joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            self._draw.circle((x, y), pixels / 2, fill=ink)

    def disc(self, x: float, y: float, radius: float, ink: Ink) -> None:
        """Fill a circle."""
        side = self._side
        self._draw.circle((x * side, y * side), radius * side, fill=ink)

    def text(self, at: Point, words: str, width: float, ink: Ink) -> float:
        """Write bold letters, centred at `at`, `width` wide; gives the height of a capital."""
        size = 100.0
        font = ImageFont.load_default(size)
        size *= width * self._side / max(1.0, font.getlength(words))
        font = ImageFont.load_default(size)
        x, y = at[0] * self._side, at[1] * self._side
        self._draw.text(
            (x, y), words, fill=ink, font=font, anchor="mm", stroke_width=size / 28, stroke_fill=ink
        )
        return 0.7 * size / self._side

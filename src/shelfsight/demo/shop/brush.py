"""Draw flat shapes on a square image, in unit coordinates."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from shelfsight.demo.shop.shapes import Point

Colour = str | int
"""#rrggbb on an RGB image, or a grey level 0 to 255 on a mask."""


class Brush:
    """Draws on `image`; (0, 0) is its upper left corner and (1, 1) its lower right one.

    Edges are not antialiased: pictures are drawn larger than their final size and scaled down.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._side = image.width
        self._draw = ImageDraw.Draw(image)

    def shape(self, shape: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([(x * self._side, y * self._side) for x, y in shape], fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line with round ends and joints."""
        scaled = [(x * self._side, y * self._side) for x, y in points]
        pixels = max(1, round(width * self._side))
        self._draw.line(scaled, fill=colour, width=pixels, joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            self._draw.circle((x, y), pixels / 2, fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        side = self._side
        self._draw.circle((x * side, y * side), radius * side, fill=colour)

    def text(self, at: Point, words: str, width: float, colour: Colour) -> float:
        """Write bold text `width` wide, centred at `at`; return the height of a capital letter."""
        size = 100.0
        font = ImageFont.load_default(size)
        size *= width * self._side / max(1.0, font.getlength(words))
        font = ImageFont.load_default(size)
        x, y = at[0] * self._side, at[1] * self._side
        self._draw.text(
            (x, y),
            words,
            fill=colour,
            font=font,
            anchor="mm",
            stroke_width=size / 28,
            stroke_fill=colour,
        )
        return 0.7 * size / self._side

"""Artwork: words and numbers, drawn once on the square."""

import numpy as np

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.palettes import Palette
from shelfsight.demo.shop.patterns import PaintArtwork
from shelfsight.demo.shop.shapes import curve, ellipse, polygon, rectangle


def _words(brush: Brush, palette: Palette, lines: tuple[str, ...]) -> None:
    """Write words in capitals below each other, in alternating colours."""
    step = 0.86 / len(lines)
    for i, line in enumerate(lines):
        y = 0.07 + step * (i + 0.5)
        width = min(0.7, step * 0.9 * len(line))
        brush.text((0.5, y), line, width, (palette.ink, *palette.prints)[(i + 1) % 4])


def hello(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a greeting in four languages."""
    brush.shape(rectangle((0, 0, 1, 1)), palette.paper)
    _words(brush, palette, ("HELLO", "HOLA", "SALUT", "CIAO"))


def good_vibes(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw two words on a coloured block."""
    brush.shape(rectangle((0, 0, 1, 0.5)), palette.main)
    brush.shape(rectangle((0, 0.5, 1, 1)), palette.ink)
    brush.text((0.5, 0.27), "GOOD", 0.82, palette.paper)
    brush.text((0.5, 0.72), "VIBES", 0.86, palette.second)


def coffee(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw COFFEE FIRST with a steaming cup."""
    brush.shape(ellipse((0.66, 0.52), 0.13, 0.11), palette.main)
    brush.shape(ellipse((0.66, 0.52), 0.075, 0.06), palette.paper)
    brush.shape([(0.28, 0.4), (0.68, 0.4), *ellipse((0.48, 0.52), 0.2, 0.16, 0, 180)], palette.main)
    brush.shape(ellipse((0.48, 0.72), 0.3, 0.03), palette.ink)
    for x in (0.38, 0.48, 0.58):
        steam = curve((x, 0.36), (x + 0.025, 0.31), (x - 0.025, 0.26), (x, 0.21), closed=False)
        brush.line(steam, 0.016, palette.third)
    brush.text((0.5, 0.11), "COFFEE", 0.6, palette.ink)
    brush.text((0.5, 0.87), "FIRST", 0.56, palette.ink)


def number(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw a varsity number in a hexagon."""
    brush.shape(polygon((0.5, 0.5), 0.49, 6), palette.ink)
    brush.shape(polygon((0.5, 0.5), 0.45, 6), palette.second)
    brush.text((0.5, 0.48), str(random.integers(10, 99)), 0.55, palette.ink)


LETTERING: dict[str, PaintArtwork] = {
    "hello": hello,
    "good-vibes": good_vibes,
    "coffee": coffee,
    "number": number,
}
"""Words and numbers, by pattern name."""

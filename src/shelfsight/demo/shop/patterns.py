"""Artwork: geometric patterns such as stripes, dots and checks."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.palettes import Palette, mix
from shelfsight.demo.shop.shapes import Point, ellipse, polygon, rectangle, star

PaintArtwork = Callable[[Brush, Palette, np.random.Generator], None]
"""Draws artwork on a square that is already filled with the palette's background colour."""


def staggered(columns: int, rows: int) -> Iterator[tuple[float, float, int]]:
    """Yield x, y and a number for each cell of a grid whose odd rows are shifted by half a cell."""
    for row in range(rows + 1):
        for column in range(columns + 1):
            shift = 0.5 if row % 2 else 0.0
            yield (column + shift) / columns, (row + 0.5) / rows, row * 7 + column


def stripes(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw horizontal bands of unequal height."""
    top, i = 0.0, 0
    while top < 1:
        height = float(random.choice([0.03, 0.06, 0.1]))
        brush.shape(rectangle((0, top, 1, top + height)), palette.prints[i % 3])
        top += height + 0.05
        i += 1


def candy(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw slanted bands in two colours."""
    for i in range(-8, 9):
        x, colour = i / 8, palette.main if i % 2 else palette.second
        brush.shape([(x, 1), (x + 1, 0), (x + 1.07, 0), (x + 0.07, 1)], colour)


def dots(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw polka dots."""
    for x, y, i in staggered(6, 7):
        brush.disc(x, y, 0.05, palette.main if i % 3 else palette.second)


def gingham(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a woven check."""
    half = mix(palette.paper, palette.main, 0.5)
    for i in range(0, 10, 2):
        brush.shape(rectangle((i / 10, 0, (i + 1) / 10, 1)), half)
        brush.shape(rectangle((0, i / 10, 1, (i + 1) / 10)), half)
    for row in range(0, 10, 2):
        for column in range(0, 10, 2):
            box = (column / 10, row / 10, (column + 1) / 10, (row + 1) / 10)
            brush.shape(rectangle(box), palette.main)


def harlequin(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw argyle: tall diamonds with thin crossing lines."""
    for row in range(5):
        for column in range(6):
            x, y = column / 5 + (0.1 if row % 2 else 0), row / 4
            diamond = [(x, y - 0.25), (x + 0.1, y), (x, y + 0.25), (x - 0.1, y)]
            brush.shape(diamond, palette.prints[(column + row) % 3])
    for i in range(-6, 12):
        brush.line([(i / 5, 0), (i / 5 + 0.4, 1)], 0.006, palette.ink)
        brush.line([(i / 5, 0), (i / 5 - 0.4, 1)], 0.006, palette.ink)


def scales(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw Japanese waves: overlapping fans of rings."""
    rings = (palette.main, palette.paper, palette.second, palette.paper, palette.ink)
    for row in range(14):
        for column in range(7):
            x, y = column / 6 + (1 / 12 if row % 2 else 0), row / 11
            for i, colour in enumerate(rings):
                brush.disc(x, y, 0.1 - 0.019 * i, colour)


def ripples(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw bold wavy bands."""
    xs = [i / 60 for i in range(61)]
    for i in range(-1, 10):
        upper = [(x, i / 9 + 0.05 * math.sin(2 * math.pi * x * 2)) for x in xs]
        lower = [(x, y + 0.062) for x, y in reversed(upper)]
        brush.shape(upper + lower, palette.prints[i % 3])


def terrazzo(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw chips of stone."""
    for x, y, i in staggered(9, 9):
        at = (x + random.uniform(-0.03, 0.03), y + random.uniform(-0.03, 0.03))
        size = random.uniform(0.025, 0.062)
        corners = sorted(random.uniform(0, 360, 7))
        chip = [ellipse(at, size, size * 0.8, a, a + 1)[0] for a in corners]
        brush.shape(chip, (*palette.prints, palette.ink)[i % 4])


def chevrons(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw zigzag bands."""
    for i in range(-1, 9):
        edge: list[Point] = [(j / 8, i / 7 + (0.09 if j % 2 else 0)) for j in range(9)]
        brush.shape(edge + [(x, y + 0.075) for x, y in reversed(edge)], palette.prints[i % 3])


def triangles(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw a mosaic of triangles."""
    colours = (palette.paper, *palette.prints, palette.ink, mix(palette.main, palette.paper, 0.5))
    for row in range(5):
        for column in range(5):
            x, y = column / 5, row / 5
            one, other = random.choice(len(colours), 2, replace=False)
            brush.shape([(x, y), (x + 0.2, y), (x, y + 0.2)], colours[one])
            brush.shape([(x + 0.2, y), (x + 0.2, y + 0.2), (x, y + 0.2)], colours[other])


def bauhaus(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw squares with quarter circles."""
    for row in range(4):
        for column in range(4):
            x, y, turn = column / 4, row / 4, int(random.integers(4))
            one, other = random.choice(3, 2, replace=False)
            ground = palette.paper if random.random() < 0.5 else palette.prints[other]
            brush.shape(rectangle((x, y, x + 0.25, y + 0.25)), ground)
            corner = (x + (0.25 if turn in (1, 2) else 0), y + (0.25 if turn > 1 else 0))
            quarter = ellipse(corner, 0.25, 0.25, turn * 90, turn * 90 + 90)
            brush.shape([corner, *quarter], palette.prints[one])


def camouflage(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw overlapping blots."""
    for i in range(42):
        x, y = random.uniform(0, 1, 2)
        for _ in range(5):
            dx, dy = random.uniform(-0.08, 0.08, 2)
            rx, ry = random.uniform(0.04, 0.09, 2)
            brush.shape(ellipse((x + dx, y + dy), rx, ry), (*palette.prints, palette.ink)[i % 4])


def leopard(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw leopard spots."""
    for x, y, _ in staggered(7, 8):
        spot = (x + random.uniform(-0.02, 0.02), y + random.uniform(-0.02, 0.02))
        turn = random.uniform(0, 360)
        brush.shape(ellipse(spot, 0.06, 0.052), palette.ink)
        brush.shape([spot, *ellipse(spot, 0.08, 0.08, turn, turn + 70)], palette.paper)
        brush.shape(ellipse(spot, 0.034, 0.03), palette.main)


def tartan(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw crossing bands, as on a kilt."""
    ground = mix(palette.main, palette.ink, 0.25)
    brush.shape(rectangle((0, 0, 1, 1)), ground)
    bands = ((0.02, 0.1, palette.second), (0.15, 0.02, palette.paper), (0.22, 0.05, palette.ink))
    for start in (0.0, 1 / 3, 2 / 3):
        for offset, width, colour in bands:
            a, b = start + offset, start + offset + width
            brush.shape(rectangle((0, a, 1, b)), mix(ground, colour, 0.75))
    for start in (0.0, 1 / 3, 2 / 3):
        for offset, width, colour in bands:
            for i in range(75):
                x, y = start + offset, i / 75
                brush.shape(rectangle((x, y, x + width, y + 0.008)), colour)


def honeycomb(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw hexagons within hexagons."""
    for row in range(9):
        for column in range(7):
            x, y = column / 6 + (1 / 12 if row % 2 else 0), row * 0.144
            colour = (palette.second, palette.paper, palette.main)[(column + 2 * row) % 3]
            brush.shape(polygon((x, y), 0.088, 6), colour)
            brush.shape(polygon((x, y), 0.045, 6), mix(colour, palette.third, 0.5))


def confetti(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw in Memphis style: scattered squiggles, rings, triangles and bars."""
    for x, y, i in staggered(5, 6):
        turn, colour = random.uniform(0, 360), (*palette.prints, palette.ink)[i % 4]
        if i % 4 == 0:
            wave = [(x - 0.06 + j * 0.03, y + (0.02 if j % 2 else -0.02)) for j in range(5)]
            brush.line(wave, 0.014, colour)
        elif i % 4 == 1:
            brush.disc(x, y, 0.05, colour)
            brush.disc(x, y, 0.028, palette.paper)
        elif i % 4 == 2:
            brush.shape(polygon((x, y), 0.055, 3, turn), colour)
        else:
            brush.line([ellipse((x, y), 0.05, 0.05, turn, turn + 1)[0], (x, y)], 0.022, colour)


def stars(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw stars on a dark background."""
    brush.shape(rectangle((0, 0, 1, 1)), palette.ink)
    for x, y, i in staggered(5, 6):
        size = 0.07 if i % 2 else 0.042
        colour = palette.paper if i % 5 == 0 else palette.prints[i % 3]
        brush.shape(star((x, y), size, size * 0.42, 5, random.uniform(0, 72)), colour)


def herringbone(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw bricks slanted in alternating directions, like a herring's bones."""
    for column in range(6):
        lean = 0.1 if column % 2 else -0.1
        for row in range(-2, 14):
            x, y = column / 6, row / 12
            brick = [(x, y), (x + 1 / 6, y + lean), (x + 1 / 6, y + lean + 0.07), (x, y + 0.07)]
            brush.shape(brick, palette.prints[(row + column) % 3])


GEOMETRIC_PATTERNS: dict[str, PaintArtwork] = {
    "stripes": stripes,
    "candy": candy,
    "dots": dots,
    "gingham": gingham,
    "harlequin": harlequin,
    "scales": scales,
    "ripples": ripples,
    "terrazzo": terrazzo,
    "chevrons": chevrons,
    "triangles": triangles,
    "bauhaus": bauhaus,
    "camouflage": camouflage,
    "leopard": leopard,
    "tartan": tartan,
    "honeycomb": honeycomb,
    "confetti": confetti,
    "stars": stars,
    "herringbone": herringbone,
}
"""Geometric patterns, by pattern name."""

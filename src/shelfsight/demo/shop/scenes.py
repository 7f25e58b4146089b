"""Artwork: places and things, such as a mountain or a rocket, drawn once on the square."""

import math

import numpy as np

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.palettes import Palette, mix
from shelfsight.demo.shop.patterns import PaintArtwork
from shelfsight.demo.shop.shapes import curve, ellipse, leaf, parse_curve, rectangle, star


def mountains(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw layers of ridges below a sun."""
    brush.shape(rectangle((0, 0, 1, 1)), mix(palette.paper, palette.second, 0.35))
    brush.disc(0.64, 0.3, 0.15, palette.third)
    layers = (palette.second, palette.main, mix(palette.main, palette.ink, 0.45), palette.ink)
    for i, colour in enumerate(layers):
        ridge = [(0.0, 1.0)]
        for j in range(8):
            height = random.uniform(0.06, 0.2) if j % 2 else random.uniform(-0.04, 0.03)
            ridge.append((j / 7, 0.52 + 0.14 * i - height))
        brush.shape([*ridge, (1, 1)], colour)


def moons(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw a crescent moon among stars, above the phases of the moon."""
    night = mix(palette.ink, palette.main, 0.2)
    brush.shape(rectangle((0, 0, 1, 1)), night)
    brush.disc(0.5, 0.4, 0.25, palette.second)
    brush.disc(0.6, 0.35, 0.22, night)
    for _ in range(26):
        x, y = random.uniform(0.03, 0.97, 2)
        brush.shape(star((x, y), 0.024, 0.007, 4), palette.third)
    for i, shift in enumerate((-0.05, -0.03, 0.2, 0.03, 0.05)):
        x = 0.18 + 0.16 * i
        brush.disc(x, 0.82, 0.055, palette.second)
        brush.disc(x + shift, 0.82, 0.055, night if abs(shift) < 0.1 else palette.second)


def rainbow(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw arches over two clouds."""
    bands = (palette.main, palette.third, palette.second, palette.ink, palette.paper)
    for i, colour in enumerate(bands):
        radius = 0.42 - 0.07 * i
        brush.shape(ellipse((0.5, 0.7), radius, radius, 180, 360), colour)
    for x in (0.15, 0.85):
        for dx, dy, size in ((-0.08, 0.02, 0.07), (0.0, -0.02, 0.1), (0.09, 0.02, 0.07)):
            brush.disc(x + dx, 0.72 + dy, size, mix(palette.paper, "#ffffff", 0.75))


def sunburst(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw rays around a sun."""
    for i in range(16):
        ray = ellipse((0.5, 0.5), 0.8, 0.8, i * 22.5, i * 22.5 + 11.25)
        brush.shape([(0.5, 0.5), *ray], palette.main if i % 2 else palette.second)
    brush.disc(0.5, 0.5, 0.2, palette.paper)
    brush.disc(0.5, 0.5, 0.16, palette.third)


def skyline(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw a city of towers with lit windows."""
    brush.shape(rectangle((0, 0, 1, 1)), mix(palette.second, palette.paper, 0.4))
    brush.disc(0.3, 0.26, 0.12, palette.third)
    x = 0.0
    while x < 1:
        width, top = random.uniform(0.09, 0.16), random.uniform(0.22, 0.6)
        brush.shape(rectangle((x, top, x + width, 1)), palette.ink if top > 0.4 else palette.main)
        for row in range(int((0.95 - top) / 0.06)):
            for column in range(int(width / 0.035)):
                left, upper = x + 0.012 + column * 0.035, top + 0.025 + row * 0.06
                if random.random() < 0.6:
                    brush.shape(rectangle((left, upper, left + 0.018, upper + 0.03)), palette.third)
        x += width + 0.012


def sailing(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a sailing boat on waves."""
    brush.line([(0.5, 0.14), (0.5, 0.7)], 0.014, palette.ink)
    brush.shape([(0.52, 0.16), (0.52, 0.62), (0.82, 0.62)], palette.main)
    brush.shape([(0.48, 0.24), (0.48, 0.62), (0.24, 0.62)], palette.third)
    brush.shape(
        parse_curve("20,66! 80,66! 70,80 30,80"),
        palette.ink,
    )
    for i, colour in enumerate((palette.second, mix(palette.second, palette.ink, 0.35))):
        xs = [j / 40 for j in range(41)]
        crest = [(x, 0.78 + 0.1 * i + 0.025 * math.sin(x * 25 + i * 2)) for x in xs]
        brush.shape([(0, 1), *crest, (1, 1)], colour)


def planet(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw a planet with a ring."""
    brush.shape(rectangle((0, 0, 1, 1)), palette.ink)
    for _ in range(40):
        x, y = random.uniform(0, 1, 2)
        brush.disc(x, y, random.uniform(0.003, 0.009), "#ffffff")
    ring = [
        (0.5 + 0.45 * math.cos(math.radians(a)), 0.5 + 0.13 * math.sin(math.radians(a)))
        for a in range(0, 361, 4)
    ]
    lean = [(x, y - (x - 0.5) * 0.45) for x, y in ring]
    brush.line(lean, 0.035, palette.third)
    brush.disc(0.5, 0.5, 0.27, palette.second)
    for i, top in enumerate((-0.13, -0.02, 0.1)):
        half = math.sqrt(0.27**2 - top**2)
        brush.line(
            [(0.5 - half * 0.92, 0.5 + top), (0.5 + half * 0.92, 0.5 + top)],
            0.04,
            palette.main if i % 2 else mix(palette.second, palette.ink, 0.35),
        )
    brush.line(lean[1:45], 0.035, palette.third)


def palms(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw palms in front of a sun with horizontal slits."""
    brush.disc(0.5, 0.46, 0.36, palette.third)
    for i in range(5):
        y = 0.5 + i * 0.075
        brush.shape(rectangle((0.1, y, 0.9, y + 0.012 + 0.007 * i)), palette.paper)
    for x, top, lean in ((0.34, 0.36, -0.07), (0.62, 0.26, 0.06)):
        brush.line(
            curve((x, 0.9), (x + lean * 0.3, 0.6), (x + lean, top), closed=False),
            0.026,
            palette.ink,
        )
        for angle in (-170, -140, -95, -45, -10, 30, 150):
            brush.shape(leaf((x + lean, top), 0.2, 0.03, angle), palette.ink)
    brush.shape(ellipse((0.5, 0.95), 0.42, 0.08), palette.main)


def lighthouse(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a striped lighthouse on a rock."""
    for side in (-1, 1):
        beam = [(0.5, 0.22), (0.5 + side * 0.6, 0.08), (0.5 + side * 0.6, 0.36)]
        brush.shape(beam, mix(palette.third, palette.paper, 0.35))
    for i in range(6):
        top, bottom = 0.28 + i * 0.09, 0.28 + (i + 1) * 0.09
        upper, lower = 0.08 + i * 0.012, 0.08 + (i + 1) * 0.012
        band = [
            (0.5 - upper, top),
            (0.5 + upper, top),
            (0.5 + lower, bottom),
            (0.5 - lower, bottom),
        ]
        brush.shape(band, "#fffaf2" if i % 2 else palette.main)
    brush.shape(rectangle((0.44, 0.17, 0.56, 0.28)), palette.third)
    brush.shape([(0.41, 0.18), (0.59, 0.18), (0.5, 0.07)], palette.ink)
    brush.shape(rectangle((0.4, 0.27, 0.6, 0.295)), palette.ink)
    brush.shape(
        parse_curve("10,100! 28,83 50,80 75,84 92,100!"),
        palette.ink,
    )
    brush.shape(rectangle((0, 0.93, 1, 1)), palette.second)


def rocket(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a rocket with a flame."""
    for width, tip, colour in ((0.11, 0.98, palette.second), (0.06, 0.88, palette.third)):
        flame = curve(
            (0.5 - width, 0.7),
            (0.5 - width, 0.7),
            (0.5 + width, 0.7),
            (0.5 + width, 0.7),
            (0.5, tip),
            (0.5, tip),
        )
        brush.shape(flame, colour)
    for side in (-1, 1):
        fin = [(0.5, 0.48), (0.5 + side * 0.26, 0.7), (0.5 + side * 0.24, 0.82), (0.5, 0.7)]
        brush.shape(fin, palette.third)
    hull = parse_curve("50,5! 65,30 64,55 58,72! 42,72! 36,55 35,30")
    brush.shape(hull, palette.main)
    brush.disc(0.5, 0.35, 0.085, palette.ink)
    brush.disc(0.5, 0.35, 0.06, mix(palette.second, "#ffffff", 0.5))


def target(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw concentric rings."""
    for i in range(7):
        colour = (palette.main, palette.paper, palette.third, palette.ink)[i % 4]
        brush.disc(0.5, 0.5, 0.48 - 0.068 * i, colour)


SCENES: dict[str, PaintArtwork] = {
    "mountains": mountains,
    "moons": moons,
    "rainbow": rainbow,
    "sunburst": sunburst,
    "skyline": skyline,
    "sailing": sailing,
    "planet": planet,
    "palms": palms,
    "lighthouse": lighthouse,
    "rocket": rocket,
    "target": target,
}
"""Places and things, by pattern name."""

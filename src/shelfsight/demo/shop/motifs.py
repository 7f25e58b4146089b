"""Artwork: patterns of small things, such as leaves, cats or fruit."""

import numpy as np

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.palettes import Palette, mix
from shelfsight.demo.shop.patterns import PaintArtwork, staggered
from shelfsight.demo.shop.shapes import Point, curve, ellipse, heart, leaf, rotated


def leaves(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw sprigs with paired leaves."""
    for x, y, i in staggered(3, 4):
        angle, colour = random.uniform(-120, -60), palette.prints[i % 2]
        stem = rotated([(x - 0.15, y), (x + 0.15, y)], angle, (x, y))
        brush.line(stem, 0.008, palette.ink)
        for j in range(5):
            root = rotated([(x - 0.12 + 0.055 * j, y)], angle, (x, y))[0]
            for side in (-48, 48):
                brush.shape(leaf(root, 0.1 - 0.01 * j, 0.022, angle + side), colour)


def cats(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw cats' faces."""
    for x, y, i in staggered(3, 3):
        cat_face(brush, (x, y), 0.11, (palette.prints[i % 3], palette.ink))


def cat_face(brush: Brush, at: Point, size: float, colours: tuple[str, str]) -> None:
    """Draw a cat's face about twice `size` wide; `colours` are its fur and its dark parts."""
    x, y = at
    fur, dark = colours
    for side in (-1, 1):
        ear = [(-0.85, -0.2), (-0.8, -1.15), (-0.15, -0.65)]
        inner = [(-0.7, -0.45), (-0.69, -0.9), (-0.35, -0.65)]
        brush.shape([(x + side * a * size, y + b * size) for a, b in ear], fur)
        brush.shape([(x + side * a * size, y + b * size) for a, b in inner], mix(fur, dark, 0.45))
    brush.shape(ellipse((x, y), size, size * 0.82), fur)
    for side in (-1, 1):
        brush.shape(
            ellipse((x + side * 0.4 * size, y - 0.12 * size), size * 0.2, size * 0.23), "#fff"
        )
        brush.shape(
            ellipse((x + side * 0.4 * size, y - 0.12 * size), size * 0.09, size * 0.2), dark
        )
        for lean in (-0.1, 0.12):
            whisker = [(x + side * 0.35 * size, y + 0.25 * size)]
            whisker.append((x + side * 1.15 * size, y + (0.25 + lean) * size))
            brush.line(whisker, size * 0.04, dark)
    nose = [(x - 0.12 * size, y + 0.14 * size), (x + 0.12 * size, y + 0.14 * size)]
    brush.shape([*nose, (x, y + 0.28 * size)], dark)
    for side in (-1, 1):
        mouth = ellipse((x + side * 0.14 * size, y + 0.32 * size), size * 0.14, size * 0.14, 0, 180)
        brush.line(mouth, size * 0.05, dark)


def daisies(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw flowers with white or coloured petals."""
    for x, y, i in staggered(4, 4):
        turn, size = random.uniform(0, 45), 0.115 if i % 2 else 0.085
        colour = palette.main if i % 2 else palette.second
        for petal in range(8):
            brush.shape(leaf((x, y), size, size * 0.26, turn + petal * 45), colour)
        brush.disc(x, y, size * 0.3, palette.third)


def hearts(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw hearts in rows."""
    for x, y, i in staggered(5, 5):
        brush.shape(heart(x, y, 0.14), palette.prints[i % 3])
        brush.shape(heart(x, y, 0.065), palette.paper)


def citrus(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw slices of lemon and orange."""
    for x, y, i in staggered(3, 3):
        rind = palette.main if i % 2 else palette.third
        turn = random.uniform(0, 60)
        brush.disc(x, y, 0.135, rind)
        brush.disc(x, y, 0.118, "#fffdf0")
        for wedge in range(8):
            start = turn + wedge * 45 + 5
            rim = ellipse((x, y), 0.106, 0.106, start, start + 35)
            tip = ellipse((x, y), 0.014, 0.014, start + 17, start + 18)[0]
            brush.shape([tip, *rim], mix(rind, "#fff4b0", 0.25))


def fishes(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw fish that swim to the left."""
    for x, y, i in staggered(3, 5):
        colour = palette.prints[i % 3]
        brush.shape([(x + 0.07, y), (x + 0.14, y - 0.05), (x + 0.14, y + 0.05)], colour)
        brush.shape(ellipse((x, y), 0.1, 0.052), colour)
        brush.shape(ellipse((x - 0.02, y), 0.03, 0.05, -90, 90), mix(colour, palette.ink, 0.4))
        brush.disc(x - 0.06, y - 0.012, 0.014, "#fff")
        brush.disc(x - 0.062, y - 0.012, 0.007, palette.ink)


def mushrooms(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw toadstools with spots."""
    for x, y, i in staggered(3, 3):
        stem = curve((x - 0.03, y), (x + 0.03, y), (x + 0.045, y + 0.13), (x - 0.045, y + 0.13))
        brush.shape(stem, mix("#fff6e4", palette.second, 0.2))
        cap = [
            *ellipse((x, y + 0.02), 0.12, 0.13, 180, 360),
            (x + 0.12, y + 0.04),
            (x - 0.12, y + 0.04),
        ]
        brush.shape(cap, palette.main if i % 2 else palette.third)
        for dx, dy, size in ((-0.05, -0.03, 0.022), (0.03, -0.06, 0.026), (0.07, 0.0, 0.018)):
            brush.disc(x + dx, y + dy, size, "#fffaf0")


def paws(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw paw prints."""
    for x, y, i in staggered(4, 4):
        turn, colour = random.uniform(-35, 35), (palette.main, palette.ink, palette.second)[i % 3]
        pad = curve(
            (x, y - 0.02),
            (x + 0.05, y + 0.04),
            (x + 0.025, y + 0.065),
            (x, y + 0.055),
            (x - 0.025, y + 0.065),
            (x - 0.05, y + 0.04),
        )
        brush.shape(rotated(pad, turn, (x, y)), colour)
        for dx, dy in ((-0.062, -0.015), (-0.024, -0.058), (0.024, -0.058), (0.062, -0.015)):
            toe = ellipse((x + dx, y + dy), 0.018, 0.026)
            brush.shape(rotated(toe, turn, (x, y)), colour)


def cherries(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw pairs of cherries."""
    for x, y, i in staggered(3, 4):
        red = palette.main if i % 2 else mix(palette.main, palette.third, 0.6)
        for dx, dy in ((-0.06, 0.06), (0.05, 0.08)):
            brush.line(
                [(x + 0.02, y - 0.1), (x + dx * 0.9, y), (x + dx, y + dy)], 0.009, palette.ink
            )
            brush.disc(x + dx, y + dy, 0.052, red)
            brush.disc(x + dx - 0.018, y + dy - 0.018, 0.012, mix(red, "#ffffff", 0.75))
        brush.shape(leaf((x + 0.02, y - 0.1), 0.1, 0.026, 10), palette.second)


def cacti(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw cacti in pots."""
    for x, y, i in staggered(3, 3):
        green = palette.second if i % 2 else palette.main
        brush.line([(x, y - 0.09), (x, y + 0.06)], 0.065, green)
        arm = [(x, y + 0.02), (x - 0.075, y + 0.02), (x - 0.075, y - 0.04)]
        brush.line(arm, 0.03, green)
        brush.line([(2 * x - a, b - 0.03) for a, b in arm], 0.03, green)
        pot = [
            (x - 0.065, y + 0.06),
            (x + 0.065, y + 0.06),
            (x + 0.045, y + 0.14),
            (x - 0.045, y + 0.14),
        ]
        brush.shape(pot, palette.third)
        for spine in range(4):
            brush.line(
                [(x - 0.012, y - 0.08 + spine * 0.035), (x + 0.012, y - 0.07 + spine * 0.035)],
                0.006,
                palette.paper,
            )


def bolts(brush: Brush, palette: Palette, random: np.random.Generator) -> None:
    """Draw flashes of lightning."""
    flash = [
        (0.02, -0.12),
        (-0.06, 0.02),
        (-0.01, 0.02),
        (-0.03, 0.12),
        (0.06, -0.03),
        (0.01, -0.03),
    ]
    for x, y, i in staggered(4, 4):
        bolt = rotated([(x + a, y + b) for a, b in flash], random.uniform(-20, 20), (x, y))
        brush.shape([(a + 0.014, b + 0.014) for a, b in bolt], palette.ink)
        brush.shape(bolt, palette.prints[i % 3])


def balloons(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw hot-air balloons with striped envelopes."""
    for x, y, i in staggered(2, 3):
        one, other = palette.prints[i % 3], palette.prints[(i + 1) % 3]
        for share, colour in ((1.0, one), (0.62, other), (0.24, one)):
            brush.shape(ellipse((x, y - 0.03), 0.12 * share, 0.12), colour)
        brush.line([(x - 0.06, y + 0.07), (x - 0.02, y + 0.13)], 0.006, palette.ink)
        brush.line([(x + 0.06, y + 0.07), (x + 0.02, y + 0.13)], 0.006, palette.ink)
        basket = [
            (x - 0.025, y + 0.12),
            (x + 0.025, y + 0.12),
            (x + 0.02, y + 0.155),
            (x - 0.02, y + 0.155),
        ]
        brush.shape(basket, palette.ink)


MOTIFS: dict[str, PaintArtwork] = {
    "leaves": leaves,
    "cats": cats,
    "daisies": daisies,
    "hearts": hearts,
    "citrus": citrus,
    "fishes": fishes,
    "mushrooms": mushrooms,
    "paws": paws,
    "cherries": cherries,
    "cacti": cacti,
    "bolts": bolts,
    "balloons": balloons,
}
"""Patterns of small things, by pattern name."""

"""Artwork: faces and animals, drawn once in the middle of the square."""

import numpy as np

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.motifs import cat_face
from shelfsight.demo.shop.palettes import Palette, mix
from shelfsight.demo.shop.patterns import PaintArtwork
from shelfsight.demo.shop.shapes import Shape, ellipse, leaf, mirrored, parse_curve, rectangle


def whale(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a whale with its blow."""
    body = parse_curve(
        "10,55 16,38 38,33 60,42 76,50 83,40 74,28! 86,32! 97,25! 92,42 86,60 66,74 40,77 18,70"
    )
    brush.shape(body, palette.main)
    belly = parse_curve("11,60 35,64 62,68 40,77 18,70")
    brush.shape(belly, mix(palette.paper, "#ffffff", 0.4))
    brush.shape(leaf((0.42, 0.62), 0.24, 0.05, 65), mix(palette.main, palette.ink, 0.4))
    brush.disc(0.22, 0.53, 0.022, palette.ink)
    for angle in (-130, -105, -75, -50):
        brush.shape(leaf((0.33, 0.32), 0.22, 0.022, angle), palette.second)


def big_cat(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw one large cat's face on a disc."""
    brush.disc(0.5, 0.5, 0.46, palette.third)
    cat_face(brush, (0.5, 0.56), 0.33, (palette.main, palette.ink))


def fox(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw the face of an origami fox."""
    pale = mix(palette.paper, "#ffffff", 0.6)
    half: tuple[tuple[str, Shape], ...] = (
        (palette.main, [(0.5, 0.38), (0.2, 0.36), (0.14, 0.06)]),
        (palette.ink, [(0.36, 0.35), (0.23, 0.35), (0.19, 0.16)]),
        (palette.main, [(0.5, 0.36), (0.2, 0.34), (0.08, 0.58), (0.5, 0.9)]),
        (pale, [(0.08, 0.58), (0.34, 0.56), (0.5, 0.9)]),
        (palette.second, [(0.5, 0.36), (0.42, 0.6), (0.5, 0.9)]),
        (palette.ink, [(0.27, 0.5), (0.36, 0.52), (0.33, 0.56)]),
    )
    for colour, fold in half:
        brush.shape(fold, colour)
        brush.shape(mirrored(fold), colour)
    brush.disc(0.5, 0.86, 0.05, palette.ink)


def smiley(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw a smiling face."""
    brush.disc(0.5, 0.5, 0.43, palette.ink)
    brush.disc(0.5, 0.5, 0.405, palette.second)
    for x in (0.37, 0.63):
        brush.shape(ellipse((x, 0.4), 0.045, 0.085), palette.ink)
    brush.line(ellipse((0.5, 0.5), 0.25, 0.24, 15, 165), 0.036, palette.ink)


def spectacles(brush: Brush, palette: Palette, _: np.random.Generator) -> None:
    """Draw an abstract face of blocks, with round spectacles."""
    brush.shape(rectangle((0, 0, 0.5, 1)), palette.main)
    brush.shape(rectangle((0.5, 0, 1, 1)), palette.second)
    brush.shape(ellipse((0.5, 0.5), 0.3, 0.4, 90, 270), palette.second)
    brush.shape(ellipse((0.5, 0.5), 0.3, 0.4, -90, 90), palette.third)
    for x in (0.36, 0.64):
        brush.disc(x, 0.42, 0.12, palette.ink)
        brush.disc(x, 0.42, 0.095, "#fffdf5")
        brush.disc(x + 0.02, 0.43, 0.04, palette.ink)
    brush.line([(0.5, 0.46), (0.45, 0.62), (0.51, 0.63)], 0.018, palette.ink)
    brush.shape(ellipse((0.5, 0.74), 0.1, 0.05), palette.ink)


FACES_AND_ANIMALS: dict[str, PaintArtwork] = {
    "whale": whale,
    "big-cat": big_cat,
    "fox": fox,
    "smiley": smiley,
    "spectacles": spectacles,
}
"""Faces and animals, by pattern name."""

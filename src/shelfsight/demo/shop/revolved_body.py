"""Draw bodies of revolution (cups, bottles, lampshades) with artwork wrapped around them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from shelfsight.demo.shop.canvas import SHADE, SIDE, WHITE, Canvas, pack_pixels, unpack_pixels
from shelfsight.demo.shop.shapes import Point


@dataclass(frozen=True, slots=True)
class RevolvedBody:
    """A body of revolution about the vertical line at `x`.

    `profile` lists (y, half of the width at y) from top to bottom. `tilt` is how far horizontal
    rings sag in the middle, as they do when seen a little from above. `gloss` is 0 (matt) to 1.
    """

    x: float
    profile: tuple[Point, ...]
    tilt: float = 0.03
    gloss: float = 0.5


def draw_revolved(canvas: Canvas, body: RevolvedBody, artwork: Image.Image) -> Image.Image:
    """Draw the body with `artwork` wrapped around its front; return the mask of what it covers.

    The point at the fraction t of half the width shows the artwork at the angle asin(t).
    """
    heights, halves = zip(*body.profile, strict=True)
    top, bottom, widest = heights[0], heights[-1], max(halves)
    left, upper = round((body.x - widest) * SIDE), round((top - body.tilt) * SIDE)
    right, lower = round((body.x + widest) * SIDE) + 1, round((bottom + body.tilt) * SIDE) + 1
    ys, xs = np.mgrid[upper:lower, left:right].astype(np.float32) / SIDE
    across = xs - body.x
    t = across / _half_width(ys, heights, halves)
    level = ys - body.tilt * np.sqrt(np.clip(1 - t**2, 0, 1))
    t = across / _half_width(level, heights, halves)
    inside = (np.abs(t) <= 1) & (level >= top) & (level <= bottom)
    t = np.clip(t, -1, 1)
    turns = np.arcsin(t) * min(1.1 / np.pi, widest / (bottom - top))
    side = artwork.width
    column = np.floor((0.5 + turns) * side).astype(np.int32) % side
    row = np.clip((level - top) / (bottom - top) * side, 0, side - 1).astype(np.int32)
    part = unpack_pixels(pack_pixels(artwork)[row, column])
    _shade_and_gloss(part, t, body.gloss)
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(Image.fromarray(inside.astype(np.uint8) * 255), (left, upper))
    paint = Image.new("RGB", (SIDE, SIDE))
    paint.paste(part, (left, upper))
    return canvas.fill(mask, paint)


Plane = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def _half_width(level: Plane, heights: tuple[float, ...], halves: tuple[float, ...]) -> Plane:
    """Return half the width at each y in `level`."""
    return np.interp(level, heights, halves).astype(np.float32)


def _shade_and_gloss(part: Image.Image, t: Plane, gloss: float) -> None:
    """Darken the edges of `part`, the right edge more, and add two bands of gloss.

    `t` is the horizontal position of each pixel, from -1 at the left edge to 1 at the right edge.
    """
    steps = np.linspace(-1, 1, 256)
    dark = 0.1 * (steps + 0.35) ** 2 + 0.42 * np.abs(steps) ** 5 + 0.1 * np.clip(steps, 0, 1)
    shine = np.exp(-(((steps + 0.5) / 0.13) ** 2)) + 0.4 * np.exp(-(((steps - 0.72) / 0.08) ** 2))
    where = ((t + 1) * 127.5).astype(np.uint8)
    for share, tone in ((np.clip(dark, 0, 0.7), SHADE), (0.6 * gloss * shine, WHITE)):
        levels = np.clip(share * 255, 0, 255).astype(np.uint8)
        part.paste(tone, mask=Image.fromarray(levels[where]))

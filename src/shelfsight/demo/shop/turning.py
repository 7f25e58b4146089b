"""Bodies turned on a wheel: cups, bottles, shades; the print follows their curve."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from shelfsight.demo.shop.canvas import SHADE, SIDE, WHITE, Canvas, packed, unpacked
from shelfsight.demo.shop.shapes import Point


@dataclass(frozen=True, slots=True)
class Turned:
    """A body about the vertical axis `x`; `profile` gives half its width (y, half), downwards.

    `tilt` is how far its rings bulge downwards in the middle: a little when seen from above.
    """

    x: float
    profile: tuple[Point, ...]
    tilt: float = 0.03
    gloss: float = 0.5


def throw(canvas: Canvas, body: Turned, print_: Image.Image) -> Image.Image:
    """Draw the body with `print_` wrapped about its front; gives its mask.

    A point at t of the half width shows the print at angle asin(t) about the axis.
    """
    heights, halves = zip(*body.profile, strict=True)
    top, bottom, widest = heights[0], heights[-1], max(halves)
    left, upper = round((body.x - widest) * SIDE), round((top - body.tilt) * SIDE)
    right, lower = round((body.x + widest) * SIDE) + 1, round((bottom + body.tilt) * SIDE) + 1
    ys, xs = np.mgrid[upper:lower, left:right].astype(np.float32) / SIDE
    across = xs - body.x
    t = across / _half(ys, heights, halves)
    level = ys - body.tilt * np.sqrt(np.clip(1 - t**2, 0, 1))
    t = across / _half(level, heights, halves)
    inside = (np.abs(t) <= 1) & (level >= top) & (level <= bottom)
    t = np.clip(t, -1, 1)
    turns = np.arcsin(t) * min(1.1 / np.pi, widest / (bottom - top))
    side = print_.width
    column = np.floor((0.5 + turns) * side).astype(np.int32) % side
    row = np.clip((level - top) / (bottom - top) * side, 0, side - 1).astype(np.int32)
    part = unpacked(packed(print_)[row, column])
    _light(part, t, body.gloss)
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(Image.fromarray(inside.astype(np.uint8) * 255), (left, upper))
    paint = Image.new("RGB", (SIDE, SIDE))
    paint.paste(part, (left, upper))
    return canvas.fill(mask, paint)


Plane = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def _half(level: Plane, heights: tuple[float, ...], halves: tuple[float, ...]) -> Plane:
    return np.interp(level, heights, halves).astype(np.float32)


def _light(part: Image.Image, t: Plane, gloss: float) -> None:
    """Darken towards the edges, the right more than the left, and add two bands of gloss."""
    steps = np.linspace(-1, 1, 256)
    dark = 0.1 * (steps + 0.35) ** 2 + 0.42 * np.abs(steps) ** 5 + 0.1 * np.clip(steps, 0, 1)
    shine = np.exp(-(((steps + 0.5) / 0.13) ** 2)) + 0.4 * np.exp(-(((steps - 0.72) / 0.08) ** 2))
    where = ((t + 1) * 127.5).astype(np.uint8)
    for share, tone in ((np.clip(dark, 0, 0.7), SHADE), (0.6 * gloss * shine, WHITE)):
        levels = np.clip(share * 255, 0, 255).astype(np.uint8)
        part.paste(tone, mask=Image.fromarray(levels[where]))

"""A picture in the making: areas are filled, then given light, shade and a shadow.

It is drawn at twice the finished size, in unit coordinates; soft light is computed small and
scaled up. Light falls from the upper left.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageColor, ImageFilter

from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.palettes import mix
from shelfsight.demo.shop.shapes import Box, Point, Shape

SIDE = 1024
SOFT_SIDE = 256
SHADE = (24, 20, 34)
WHITE = (255, 255, 255)

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in the pixels of the canvas."""

Area = Image.Image | Shape
"""A grey mask of the canvas's size, or an outline to fill."""

BACKDROPS = ("#f4f3f1", "#eef1f4", "#f6f1ea", "#f1f4ef", "#f5eff1", "#efeff5", "#f8f8f8")


def area(*shapes: Shape) -> Image.Image:
    """The union of outlines, as a mask."""
    mask = Image.new("L", (SIDE, SIDE))
    brush = Brush(mask)
    for shape in shapes:
        brush.shape(shape, 255)
    return mask


def stroke(width: float, *lines: Shape) -> Image.Image:
    """Lines of one width, as a mask."""
    mask = Image.new("L", (SIDE, SIDE))
    for line in lines:
        Brush(mask).line(line, width, 255)
    return mask


def both(one: Area, other: Area) -> Image.Image:
    """Where both areas are."""
    return ImageChops.multiply(_mask(one), _mask(other))


def without(one: Area, other: Area) -> Image.Image:
    """The first area but for the other."""
    return ImageChops.subtract(_mask(one), _mask(other))


@dataclass(frozen=True, slots=True)
class Laid:
    """A square print laid over `box` and turned about its middle; beyond it repeats."""

    print: Image.Image
    box: Box
    turn: float = 0.0

    def crop(self, window: Window) -> Image.Image:
        """What of it is seen in a window of the canvas, in pixels."""
        left, top, right, bottom = (round(side * SIDE) for side in self.box)
        size = (right - left, bottom - top)
        pixels = packed(self.print.resize(size, Image.Resampling.BOX))
        xs = np.arange(window[0], window[2], dtype=np.float32)[None, :]
        ys = np.arange(window[1], window[3], dtype=np.float32)[:, None]
        if self.turn:
            angle, x, y = math.radians(self.turn), (left + right) / 2, (top + bottom) / 2
            cos, sin, dx, dy = math.cos(angle), math.sin(angle), xs - x, ys - y
            xs, ys = x + dx * cos + dy * sin, y - dx * sin + dy * cos
        rows = (ys - top).astype(np.int32) % size[1]
        columns = (xs - left).astype(np.int32) % size[0]
        return unpacked(pixels[rows, columns])


def packed(image: Image.Image) -> NDArray[np.uint32]:
    """A pixel as one number, so that it is moved as one: shape (height, width)."""
    return np.asarray(image.convert("RGBA")).view(np.uint32)[..., 0]


def unpacked(pixels: NDArray[np.uint32]) -> Image.Image:
    """The image that was packed."""
    return Image.fromarray(pixels.view(np.uint8).reshape(*pixels.shape, 4)).convert("RGB")


def shifted(mask: Image.Image, dx: int, dy: int) -> Image.Image:
    """The mask moved by whole pixels."""
    moved = Image.new("L", mask.size)
    moved.paste(mask, (dx, dy))
    return moved


def _mask(given: Area) -> Image.Image:
    return area(given) if isinstance(given, list) else given


def _soft(mask: Image.Image, blur: float) -> Image.Image:
    return mask.reduce(SIDE // SOFT_SIDE).filter(ImageFilter.GaussianBlur(blur * SOFT_SIDE))


@cache
def _levels(strength: float) -> list[int]:
    return [min(255, round(level * strength)) for level in range(256)]


def _touched(mask: Image.Image, limit: Image.Image | None) -> Window | None:
    """The part of the canvas where the mask, within its limit, is not empty; None if nowhere.

    Its edges lie on whole pixels of the small soft masks.
    """
    boxes = [
        (found, SIDE // each.width) for each in (mask, limit or mask) if (found := each.getbbox())
    ]
    if len(boxes) < 2:
        return None
    step = SIDE // SOFT_SIDE
    left, top = (max(box[i] * scale for box, scale in boxes) // step * step for i in (0, 1))
    right, bottom = (-(-min(box[i] * scale for box, scale in boxes) // step) * step for i in (2, 3))
    return (left, top, right, bottom) if left < right and top < bottom else None


class Canvas:
    """The picture and, in `cover`, where the product is, without its shadow."""

    def __init__(self, random: np.random.Generator) -> None:
        wall = BACKDROPS[int(random.integers(len(BACKDROPS)))]
        ends = Image.new("RGB", (1, 2), mix(wall, "#ffffff", 0.55))
        ends.putpixel((0, 1), ImageColor.getrgb(mix(wall, "#5a5a66", 0.1)))
        ramp = ends.resize((1, SIDE), Image.Resampling.BILINEAR, (0, 0.5, 1, 1.5))
        self.image = ramp.resize((SIDE, SIDE), Image.Resampling.NEAREST)
        self.cover = Image.new("L", (SIDE, SIDE))

    def fill(self, where: Area, paint: str | Image.Image | Laid) -> Image.Image:
        """Cover an area with a colour, an image of the canvas's size or a print; gives its mask."""
        mask = _mask(where)
        box = mask.getbbox()
        if box is not None:
            part = mask.crop(box)
            self.image.paste(paint if isinstance(paint, str) else paint.crop(box), box, part)
            self.cover.paste(255, box, part)
        return mask

    def solid(
        self,
        where: Area,
        paint: str | Image.Image | Laid,
        depth: float = 0.02,
        strength: float = 0.6,
    ) -> Image.Image:
        """Fill an area and round it off; gives its mask."""
        mask = self.fill(where, paint)
        self.round_off(mask, depth, strength)
        return mask

    def patch(self, shape: Shape, colour: str) -> None:
        """Fill an outline that needs no mask, being given neither light nor shade."""
        Brush(self.image).shape(shape, colour)
        Brush(self.cover).shape(shape, 255)

    def line(self, points: Shape, width: float, colour: str) -> None:
        """Draw a line that belongs to the product."""
        Brush(self.image).line(points, width, colour)
        Brush(self.cover).line(points, width, 255)

    def shadow(
        self,
        where: Area,
        offset: Point = (0.012, 0.022),
        *,
        blur: float = 0.025,
        strength: float = 0.38,
    ) -> None:
        """Cast the shadow of an area on what is there already."""
        soft = _soft(_mask(where), blur)
        shift = (round(offset[0] * SOFT_SIDE), round(offset[1] * SOFT_SIDE))
        self._tint(shifted(soft, *shift), strength, SHADE)

    def dim(
        self, where: Area, strength: float, *, blur: float = 0.0, within: Area | None = None
    ) -> None:
        """Darken an area, with soft edges, only `within` another one."""
        self._tint(_soft(_mask(where), blur) if blur else _mask(where), strength, SHADE, within)

    def light(
        self, where: Area, strength: float, *, blur: float = 0.0, within: Area | None = None
    ) -> None:
        """Lighten an area, as a gloss does."""
        self._tint(_soft(_mask(where), blur) if blur else _mask(where), strength, WHITE, within)

    def round_off(self, where: Area, depth: float = 0.03, strength: float = 0.5) -> None:
        """Give an area volume: lit towards the upper left, dark towards the lower right."""
        mask = _mask(where)
        soft = np.asarray(_soft(mask, depth), np.float32)
        step = max(1, round(depth * SOFT_SIDE * 0.6))
        slope = np.roll(soft, (-step, -step), (0, 1)) - np.roll(soft, (step, step), (0, 1))
        dark = np.clip(-slope, 0, 255) * strength + (255 - soft) * strength * 0.25
        self._tint(Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8)), 1, SHADE, mask)
        lit = np.clip(slope, 0, 255) * strength * 0.55
        self._tint(Image.fromarray(lit.astype(np.uint8)), 1, WHITE, mask)

    def folds(self, where: Area, lines: list[Shape], strength: float = 0.3) -> None:
        """Soft creases in cloth: a dark furrow beside a lit ridge along each line."""
        mask, creases = _mask(where), Image.new("L", (SOFT_SIDE, SOFT_SIDE))
        brush = Brush(creases)
        for points in lines:
            brush.line(points, 0.016, 255)
        soft = creases.filter(ImageFilter.GaussianBlur(3))
        self._tint(soft, strength, SHADE, mask)
        self._tint(shifted(soft, -5, -3), strength * 0.6, WHITE, mask)

    def _tint(
        self,
        mask: Image.Image,
        strength: float,
        colour: tuple[int, int, int],
        within: Area | None = None,
    ) -> None:
        """Mix in a colour; only the part of the canvas that is touched is worked on."""
        limit = None if within is None else _mask(within)
        box = _touched(mask, limit)
        if box is None:
            return
        left, top, right, bottom = box
        ratio = mask.width / SIDE
        part = mask.resize(
            (right - left, bottom - top),
            Image.Resampling.BILINEAR,
            (left * ratio, top * ratio, right * ratio, bottom * ratio),
        ).point(_levels(strength))
        if limit is not None:
            part = ImageChops.multiply(part, limit.crop(box))
        self.image.paste(colour, box, part)

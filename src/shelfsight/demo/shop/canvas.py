"""The canvas on which a product is drawn: fill areas, then add light, shade and cast shadows.

Coordinates are in units of the picture's side. The canvas has twice the width and height of the
final picture. Soft light and shade are computed at a lower resolution and scaled up. Light comes
from the upper left.
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
"""Width and height of the canvas in pixels."""

SHADING_SIDE = 256
"""Width and height in pixels at which soft light and shade are computed."""

SHADE = (24, 20, 34)
WHITE = (255, 255, 255)

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the canvas."""

Area = Image.Image | Shape
"""A greyscale mask as large as the canvas, or an outline to fill."""

BACKDROPS = ("#f4f3f1", "#eef1f4", "#f6f1ea", "#f1f4ef", "#f5eff1", "#efeff5", "#f8f8f8")


def union(*shapes: Shape) -> Image.Image:
    """Return the mask of everything inside at least one of the outlines."""
    mask = Image.new("L", (SIDE, SIDE))
    brush = Brush(mask)
    for shape in shapes:
        brush.shape(shape, 255)
    return mask


def stroke(width: float, *lines: Shape) -> Image.Image:
    """Return the mask of lines that are `width` wide."""
    mask = Image.new("L", (SIDE, SIDE))
    for line in lines:
        Brush(mask).line(line, width, 255)
    return mask


def intersection(one: Area, other: Area) -> Image.Image:
    """Return the mask of what lies in both areas."""
    return ImageChops.multiply(_mask(one), _mask(other))


def difference(one: Area, other: Area) -> Image.Image:
    """Return the mask of what lies in the first area and not in the other."""
    return ImageChops.subtract(_mask(one), _mask(other))


@dataclass(frozen=True, slots=True)
class TiledFill:
    """A square image to fill areas with, scaled to `box`; outside the box it repeats.

    `angle` rotates it clockwise about the middle of the box, in degrees.
    """

    image: Image.Image
    box: Box
    angle: float = 0.0

    def crop(self, window: Window) -> Image.Image:
        """Return the part of the fill that lies in a window of the canvas."""
        left, top, right, bottom = (round(side * SIDE) for side in self.box)
        size = (right - left, bottom - top)
        pixels = pack_pixels(self.image.resize(size, Image.Resampling.BOX))
        xs = np.arange(window[0], window[2], dtype=np.float32)[None, :]
        ys = np.arange(window[1], window[3], dtype=np.float32)[:, None]
        if self.angle:
            angle, x, y = math.radians(self.angle), (left + right) / 2, (top + bottom) / 2
            cos, sin, dx, dy = math.cos(angle), math.sin(angle), xs - x, ys - y
            xs, ys = x + dx * cos + dy * sin, y - dx * sin + dy * cos
        rows = (ys - top).astype(np.int32) % size[1]
        columns = (xs - left).astype(np.int32) % size[0]
        return unpack_pixels(pixels[rows, columns])


def pack_pixels(image: Image.Image) -> NDArray[np.uint32]:
    """Return each RGBA pixel packed into one number, so that an index selects whole pixels.

    Shape: (height, width).
    """
    return np.asarray(image.convert("RGBA")).view(np.uint32)[..., 0]


def unpack_pixels(pixels: NDArray[np.uint32]) -> Image.Image:
    """Return the RGB image of pixels that `pack_pixels` made."""
    return Image.fromarray(pixels.view(np.uint8).reshape(*pixels.shape, 4)).convert("RGB")


def shift_mask(mask: Image.Image, dx: int, dy: int) -> Image.Image:
    """Return the mask moved by `dx` and `dy` whole pixels."""
    shifted = Image.new("L", mask.size)
    shifted.paste(mask, (dx, dy))
    return shifted


def _mask(area: Area) -> Image.Image:
    """Return the area as a mask."""
    return union(area) if isinstance(area, list) else area


def _blurred(mask: Image.Image, blur: float) -> Image.Image:
    """Return the mask scaled down to `SHADING_SIDE` and blurred; `blur` in units of the side."""
    return mask.reduce(SIDE // SHADING_SIDE).filter(ImageFilter.GaussianBlur(blur * SHADING_SIDE))


@cache
def _levels(strength: float) -> list[int]:
    """Return the table that scales each grey level by `strength`."""
    return [min(255, round(level * strength)) for level in range(256)]


def _affected_window(mask: Image.Image, limit: Image.Image | None) -> Window | None:
    """Return the part of the canvas where the mask and its limit are not empty; None if nowhere.

    Its edges lie on whole pixels of the smaller blurred masks.
    """
    boxes = [
        (box, SIDE // image.width) for image in (mask, limit or mask) if (box := image.getbbox())
    ]
    if len(boxes) < 2:
        return None
    step = SIDE // SHADING_SIDE
    left, top = (max(box[i] * scale for box, scale in boxes) // step * step for i in (0, 1))
    right, bottom = (-(-min(box[i] * scale for box, scale in boxes) // step) * step for i in (2, 3))
    return (left, top, right, bottom) if left < right and top < bottom else None


class Canvas:
    """The picture in `image`, and the mask of the product without its shadow in `coverage`."""

    def __init__(self, random: np.random.Generator) -> None:
        wall = BACKDROPS[int(random.integers(len(BACKDROPS)))]
        ends = Image.new("RGB", (1, 2), mix(wall, "#ffffff", 0.55))
        ends.putpixel((0, 1), ImageColor.getrgb(mix(wall, "#5a5a66", 0.1)))
        ramp = ends.resize((1, SIDE), Image.Resampling.BILINEAR, (0, 0.5, 1, 1.5))
        self.image = ramp.resize((SIDE, SIDE), Image.Resampling.NEAREST)
        self.coverage = Image.new("L", (SIDE, SIDE))

    def fill(self, area: Area, paint: str | Image.Image | TiledFill) -> Image.Image:
        """Fill an area with a colour, an image as large as the canvas, or a tiled image.

        Returns the mask of the area.
        """
        mask = _mask(area)
        box = mask.getbbox()
        if box is not None:
            part = mask.crop(box)
            self.image.paste(paint if isinstance(paint, str) else paint.crop(box), box, part)
            self.coverage.paste(255, box, part)
        return mask

    def fill_shaded(
        self,
        area: Area,
        paint: str | Image.Image | TiledFill,
        depth: float = 0.02,
        strength: float = 0.6,
    ) -> Image.Image:
        """Fill an area and shade it as a volume; return its mask."""
        mask = self.fill(area, paint)
        self.shade_volume(mask, depth, strength)
        return mask

    def fill_flat(self, shape: Shape, colour: str) -> None:
        """Fill an outline with a colour; faster than `fill`, but without a mask to shade later."""
        Brush(self.image).shape(shape, colour)
        Brush(self.coverage).shape(shape, 255)

    def line(self, points: Shape, width: float, colour: str) -> None:
        """Draw a line that is part of the product."""
        Brush(self.image).line(points, width, colour)
        Brush(self.coverage).line(points, width, 255)

    def shadow(
        self,
        area: Area,
        offset: Point = (0.012, 0.022),
        *,
        blur: float = 0.025,
        strength: float = 0.38,
    ) -> None:
        """Cast the shadow of an area onto what is drawn so far."""
        soft = _blurred(_mask(area), blur)
        shift = (round(offset[0] * SHADING_SIDE), round(offset[1] * SHADING_SIDE))
        self._tint(shift_mask(soft, *shift), strength, SHADE)

    def darken(
        self, area: Area, strength: float, *, blur: float = 0.0, within: Area | None = None
    ) -> None:
        """Darken an area; `blur` softens its edges, `within` confines it to another area."""
        self._tint(_blurred(_mask(area), blur) if blur else _mask(area), strength, SHADE, within)

    def lighten(
        self, area: Area, strength: float, *, blur: float = 0.0, within: Area | None = None
    ) -> None:
        """Lighten an area; `blur` softens its edges, `within` confines it to another area."""
        self._tint(_blurred(_mask(area), blur) if blur else _mask(area), strength, WHITE, within)

    def shade_volume(self, area: Area, depth: float = 0.03, strength: float = 0.5) -> None:
        """Make an area look round: lighter towards the upper left, darker to the lower right."""
        mask = _mask(area)
        soft = np.asarray(_blurred(mask, depth), np.float32)
        step = max(1, round(depth * SHADING_SIDE * 0.6))
        slope = np.roll(soft, (-step, -step), (0, 1)) - np.roll(soft, (step, step), (0, 1))
        dark = np.clip(-slope, 0, 255) * strength + (255 - soft) * strength * 0.25
        self._tint(Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8)), 1, SHADE, mask)
        lit = np.clip(slope, 0, 255) * strength * 0.55
        self._tint(Image.fromarray(lit.astype(np.uint8)), 1, WHITE, mask)

    def crease(self, area: Area, lines: list[Shape], strength: float = 0.3) -> None:
        """Draw soft creases in cloth: along each line, a dark furrow beside a light ridge."""
        mask, creases = _mask(area), Image.new("L", (SHADING_SIDE, SHADING_SIDE))
        brush = Brush(creases)
        for points in lines:
            brush.line(points, 0.016, 255)
        soft = creases.filter(ImageFilter.GaussianBlur(3))
        self._tint(soft, strength, SHADE, mask)
        self._tint(shift_mask(soft, -5, -3), strength * 0.6, WHITE, mask)

    def _tint(
        self,
        mask: Image.Image,
        strength: float,
        colour: tuple[int, int, int],
        within: Area | None = None,
    ) -> None:
        """Blend a colour into the masked area; other pixels are not touched."""
        limit = None if within is None else _mask(within)
        box = _affected_window(mask, limit)
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

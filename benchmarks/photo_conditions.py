"""Photos of a catalogue picture under one difficulty each, as `benchmarks.stress` scans them.

The picture is laid on a background, and all but the difficulty is as good as it can be.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from shelfsight.images.synthetic_photo import synthetic_photo

SIDE = 480
"""Width and height of a photo, in pixels."""

SHARE = 0.75
"""The share of the photo's width that a picture takes, unless its distance is the difficulty."""

TABLE = (150, 140, 128)
GLASS = (235, 235, 240)

Picture = Image.Image


def laid(picture: Picture, background: Picture | None = None, *, share: float = SHARE) -> Picture:
    """Return a photo of a picture in the middle of a background."""
    photo = background or Image.new("RGB", (SIDE, SIDE), TABLE)
    thing = sized(picture, share)
    photo.paste(thing, ((SIDE - thing.width) // 2, (SIDE - thing.height) // 2))
    return photo


def sized(picture: Picture, share: float) -> Picture:
    """Return a picture whose longer side is this share of a photo's side."""
    side = round(SIDE * share)
    return ImageOps.contain(picture.convert("RGB"), (side, side), Image.Resampling.BICUBIC)


def turned(picture: Picture, *, degrees: float) -> Picture:
    """Turn the thing in the plane of the photo."""
    photo = laid(picture, share=0.6)
    return photo.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=TABLE)


def from_the_side(picture: Picture, *, narrower: float) -> Picture:
    """Look at the thing from the side: its far edge is shorter, and all of it is narrower."""
    width, height = SIDE, SIDE
    cut = narrower / 2
    corners = (0, 0, 0, height, width, height * (1 + cut), width, -height * cut)
    seen = laid(picture).transform(
        (width, height),
        Image.Transform.QUAD,
        corners,
        Image.Resampling.BICUBIC,
        fillcolor=TABLE,
    )
    narrow = seen.resize((round(width * (1 - narrower)), height), Image.Resampling.BICUBIC)
    photo = Image.new("RGB", (width, height), TABLE)
    photo.paste(narrow, ((width - narrow.width) // 2, 0))
    return photo


def lit(picture: Picture, *, light: tuple[float, float, float]) -> Picture:
    """Multiply red, green and blue."""
    pixels = np.asarray(laid(picture), np.float32) * np.array(light, np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def lit_from_one_side(picture: Picture) -> Picture:
    """Light one side to twice the other's brightness and more."""
    pixels = np.asarray(laid(picture), np.float32)
    slope = np.linspace(0.35, 1.5, SIDE, dtype=np.float32)[None, :, None]
    return Image.fromarray((pixels * slope).clip(0, 255).astype(np.uint8))


def blurred(picture: Picture, *, radius: float) -> Picture:
    """Blur by a Gaussian with this deviation, in pixels."""
    return laid(picture).filter(ImageFilter.GaussianBlur(radius))


def shaken(picture: Picture, *, length: int) -> Picture:
    """Move the camera sideways by so many pixels while the photo is taken."""
    photo = laid(picture)
    moved = [np.asarray(ImageChops.offset(photo, n, 0), np.float32) for n in range(length)]
    return Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))


def covered(picture: Picture, *, share: float) -> Picture:
    """Cover so much of the thing from its right, as by a hand."""
    photo = laid(picture)
    width = sized(picture, SHARE).width
    edge = (SIDE + width) / 2 - share * width
    ImageDraw.Draw(photo).rectangle((edge, 0, SIDE, SIDE), fill=(196, 152, 124))
    return photo


def among_others(picture: Picture, others: list[Picture], *, share: float) -> Picture:
    """Lay the thing, of this share of the width, on a background that shows other products."""
    background = Image.new("RGB", (SIDE, SIDE), TABLE)
    half = SIDE // 2
    for place, other in enumerate(others[:4]):
        tile = other.convert("RGB").resize((half, half), Image.Resampling.BICUBIC)
        background.paste(tile, (place % 2 * half, place // 2 * half))
    return laid(picture, background, share=share)


def on_a_screen(picture: Picture) -> Picture:
    """Photograph a screen: a grid of pixels in three colours, a reflection, and less contrast."""
    pixels = np.asarray(laid(picture), np.float32)
    grid = np.ones((SIDE, SIDE, 3), np.float32)
    for channel in range(3):
        columns = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(SIDE) / 2.7 + channel / 3))
        grid[..., channel] = 0.6 + 0.4 * columns
    grid *= (0.85 + 0.15 * np.cos(2 * np.pi * np.arange(SIDE) / 3.1))[:, None, None]
    screen = Image.fromarray((pixels * grid * 1.2).clip(0, 255).astype(np.uint8))
    glare = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(glare).polygon([(60, 0), (200, 0), (420, SIDE), (280, SIDE)], fill=70)
    screen.paste(GLASS, mask=glare.filter(ImageFilter.GaussianBlur(12)))
    return ImageEnhance.Contrast(screen).enhance(0.85)


def compressed(picture: Picture, *, quality: int) -> Picture:
    """Save the photo as a JPEG of this quality."""
    file = io.BytesIO()
    laid(picture).save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


Condition = Callable[[Picture, list[Picture], np.random.Generator], Picture]
"""Takes a picture, those of other products, and a generator; returns a photo."""


def _alone(take: Callable[[Picture], Picture]) -> Condition:
    return lambda picture, _others, _chance: take(picture)


CONDITIONS: Mapping[str, Condition] = {
    "nothing": _alone(laid),
    "turned by 15 degrees": _alone(partial(turned, degrees=15)),
    "turned by 45 degrees": _alone(partial(turned, degrees=45)),
    "turned by 90 degrees": _alone(partial(turned, degrees=90)),
    "from the side, a quarter narrower": _alone(partial(from_the_side, narrower=0.25)),
    "from the side, half as wide": _alone(partial(from_the_side, narrower=0.5)),
    "far away, 40% of the width": _alone(partial(laid, share=0.4)),
    "a quarter of the light": _alone(partial(lit, light=(0.25, 0.25, 0.25))),
    "too much light, by a half": _alone(partial(lit, light=(1.5, 1.5, 1.5))),
    "yellow light": _alone(partial(lit, light=(1.1, 0.95, 0.6))),
    "light from one side": _alone(lit_from_one_side),
    "blurred by 3 pixels": _alone(partial(blurred, radius=3)),
    "blurred by 8 pixels": _alone(partial(blurred, radius=8)),
    "shaken by 24 pixels": _alone(partial(shaken, length=24)),
    "a quarter covered": _alone(partial(covered, share=0.25)),
    "half covered": _alone(partial(covered, share=0.5)),
    "among four others, 60% of the width": lambda picture, others, _: among_others(
        picture, others, share=0.6
    ),
    "among four others, 40% of the width": lambda picture, others, _: among_others(
        picture, others, share=0.4
    ),
    "on a screen": _alone(on_a_screen),
    "JPEG of quality 10": _alone(partial(compressed, quality=10)),
    "a bit of most of these": lambda picture, _, chance: synthetic_photo(picture, chance),
}
"""What makes each photo hard."""

"""Makes a photo of a catalogue picture, as a person might have taken it of the thing itself.

The picture is laid at an angle on a background, cut, lit from one side, blurred and compressed.
Such photos are labelled: they show the product of their picture.
"""

import io
import math

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

SIDE = 384
"""Width and height of a synthetic photo, in pixels."""


def synthetic_photo(picture: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Return a photo of the picture, RGB of `SIDE` x `SIDE`; `chance` decides how it was taken."""
    thing = _cut(picture.convert("RGB"), chance)
    share = chance.uniform(0.45, 1.1)
    thing.thumbnail((round(SIDE * share), round(SIDE * share)))
    photo = _background(chance)
    laid, mask = _tilted(thing, chance)
    room = SIDE - np.array(laid.size)
    place = room // 2 + (chance.uniform(-0.35, 0.35, 2) * np.abs(room)).astype(int)
    photo.paste(laid, (int(place[0]), int(place[1])), mask)
    return _compressed(_lit(photo, chance), chance)


def _cut(picture: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Keep 60 to 100% of each side."""
    width, height = picture.size
    kept = chance.uniform(0.6, 1.0, 2) * (width, height)
    left, top = chance.uniform(0, 1, 2) * ((width, height) - kept)
    box = (left, top, left + kept[0], top + kept[1])
    return picture.crop(tuple(round(edge) for edge in box))


def _tilted(thing: Image.Image, chance: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Turn the thing and look at it from the side; return it and where it covers the photo."""
    width, height = thing.size
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], float)
    moved = corners + chance.uniform(-0.15, 0.15, (4, 2)) * (width, height)
    moved = np.clip(moved, 0, (width, height))
    values = _perspective(moved, corners)
    angle = math.degrees(chance.normal(0, 0.25))
    both = []
    for layer in (thing, Image.new("L", thing.size, 255)):
        seen = layer.transform(
            thing.size, Image.Transform.PERSPECTIVE, values, Image.Resampling.BILINEAR
        )
        both.append(seen.rotate(angle, Image.Resampling.BILINEAR, expand=True))
    return both[0], both[1]


def _perspective(seen: np.ndarray, corners: np.ndarray) -> list[float]:
    """Return the eight numbers of Pillow's perspective transform from `seen` (4, 2) to corners."""
    rows = []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved: list[float] = np.linalg.lstsq(np.array(rows), corners.ravel(), rcond=None)[0].tolist()
    return solved


def _background(chance: np.random.Generator) -> Image.Image:
    """Return soft blotches of colour, like a shelf or a table out of focus."""
    cells = int(chance.integers(2, 9))
    colours = np.clip(chance.normal(chance.uniform(60, 200, 3), 45, (cells, cells, 3)), 0, 255)
    blotches = Image.fromarray(colours.astype(np.uint8))
    return blotches.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _lit(photo: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Change exposure, colour of the light, contrast and sharpness, with light from one side."""
    pixels = np.asarray(photo, dtype=np.float32)
    across, down = chance.uniform(-0.3, 0.3, 2)
    slope = np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)
    light = 1 + across * slope[None, :] + down * slope[:, None]
    tint = np.exp(chance.normal(0, 0.08, 3)) * np.exp(chance.normal(-0.05, 0.25))
    lit = np.clip(pixels * light[..., None] * tint.astype(np.float32), 0, 255)
    changed = Image.fromarray(lit.astype(np.uint8))
    changed = ImageEnhance.Contrast(changed).enhance(chance.uniform(0.7, 1.2))
    changed = ImageEnhance.Color(changed).enhance(chance.uniform(0.6, 1.3))
    return changed.filter(ImageFilter.GaussianBlur(chance.exponential(1.2)))


def _compressed(photo: Image.Image, chance: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=int(chance.integers(40, 91)))
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")

"""Puts pictures of several things together on one photo, with the box around each.

The pictures have a white background, which is cut away.
"""

import io

import numpy as np
import scipy
from PIL import Image, ImageFilter

from shelfsight.images.photo_box import PhotoBox

WIDTH, HEIGHT = 1200, 900
NEAR_WHITE = 238
"""From this value of the darkest channel on, a pixel may be background."""

TABLES = ("white", "plain", "uneven", "wood", "grainy", "a room out of focus")

Picture = Image.Image


def cut_out(picture: Picture) -> Picture:
    """Return the thing of a picture alone (RGBA): white that reaches the edge is taken away."""
    photo = picture.convert("RGB")
    photo.thumbnail((420, 420))
    is_white = np.asarray(photo).min(axis=2) > NEAR_WHITE
    areas, _ = scipy.ndimage.label(np.pad(is_white, 1, constant_values=True))
    is_thing = areas[1:-1, 1:-1] != areas[0, 0]
    mask = scipy.ndimage.binary_erosion(scipy.ndimage.median_filter(is_thing, 5), np.ones((3, 3)))
    photo.putalpha(Image.fromarray(np.uint8(255) * mask))
    return photo.crop(photo.getchannel("A").getbbox())


def table(kind: str, chance: np.random.Generator, room: Picture) -> Picture:
    """Return what the things lie on, or stand before; `room` is any photo."""
    if kind == TABLES[-1]:
        photo = room.convert("RGB").resize((WIDTH, HEIGHT))
        return photo.filter(ImageFilter.GaussianBlur(chance.uniform(8, 25)))
    colour = 0.4 * chance.uniform(60, 225, 3) + 0.6 * chance.uniform(60, 225)
    pixels = np.ones((HEIGHT, WIDTH, 3)) * colour
    if kind == "white":
        pixels[:] = chance.uniform(225, 250)
    elif kind == "uneven":
        cells = int(chance.integers(2, 7))
        colours = np.clip(chance.normal(chance.uniform(60, 200, 3), 35, (cells, cells, 3)), 0, 255)
        small = Image.fromarray(colours.astype(np.uint8))
        pixels = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), float)
    elif kind == "wood":
        fibres = noise(chance, (1.5, 60)) + noise(chance, (8, 200))
        pixels = np.array([150, 105, 65]) * chance.uniform(0.6, 1.5) * (1 + 0.08 * fibres)
    elif kind == "grainy":
        size = chance.uniform(1.5, 6)
        pixels += noise(chance, (size, size)) * chance.uniform(8, 22)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def noise(chance: np.random.Generator, sigma: tuple[float, float]) -> np.ndarray:
    """Return smooth noise (HEIGHT, WIDTH, 1) of deviation 1."""
    smooth = scipy.ndimage.gaussian_filter(chance.normal(0, 1, (HEIGHT, WIDTH)), sigma)
    return (smooth / smooth.std())[..., None]


def put_together(
    things: list[Picture], background: Picture, chance: np.random.Generator
) -> tuple[Picture, list[PhotoBox]]:
    """Lay things in one or two rows, each in a cell of its own, and photograph them."""
    rows = 1 if len(things) <= 2 else 2
    cells = [list(part) for part in np.array_split(np.arange(len(things)), rows)]
    photo, boxes = background.copy(), []
    for row, numbers in enumerate(cells):
        for column, number in enumerate(numbers):
            cell = (WIDTH / len(numbers), HEIGHT / rows)
            corner = (column * cell[0], row * cell[1])
            boxes.append(lay(photo, things[number], corner, cell, chance))
    return photographed(photo, chance), boxes


def lay(
    photo: Picture,
    thing: Picture,
    corner: tuple[float, float],
    cell: tuple[float, float],
    chance: np.random.Generator,
) -> PhotoBox:
    """Lay a thing with its shadow somewhere in a cell; return the box around it."""
    laid = thing.rotate(chance.normal(0, 8), Image.Resampling.BICUBIC, expand=True)
    scale = chance.uniform(0.55, 0.9) * min(cell[0] / laid.width, cell[1] / laid.height)
    laid = laid.resize((max(8, int(laid.width * scale)), max(8, int(laid.height * scale))))
    mask = laid.getchannel("A")
    place = [
        int(start + chance.uniform(0.02, 0.98) * (length - side))
        for start, length, side in zip(corner, cell, laid.size, strict=True)
    ]
    shadow = mask.filter(ImageFilter.GaussianBlur(12)).point(lambda value: int(0.35 * value))
    photo.paste((20, 20, 20), (place[0] + 6, place[1] + 10), shadow)
    photo.paste(laid.convert("RGB"), (place[0], place[1]), mask)
    left, top, right, bottom = mask.point(lambda value: 255 * (value > 128)).getbbox()
    x, y = (place[0] + left) / WIDTH, (place[1] + top) / HEIGHT
    return PhotoBox(x, y, (right - left) / WIDTH, (bottom - top) / HEIGHT)


def photographed(photo: Picture, chance: np.random.Generator) -> Picture:
    """Add light from one side, a tint, the noise of a camera, some blur, and JPEG."""
    across, down = chance.uniform(-0.3, 0.3, 2)
    light = (
        1 + across * np.linspace(-0.5, 0.5, WIDTH) + down * np.linspace(-0.5, 0.5, HEIGHT)[:, None]
    )
    pixels = np.asarray(photo, np.float32) * light[..., None] * np.exp(chance.normal(0, 0.06, 3))
    pixels += chance.normal(0, 3, pixels.shape)
    taken = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    blurred = taken.filter(ImageFilter.GaussianBlur(chance.exponential(0.8)))
    blurred.save(file, "JPEG", quality=int(chance.integers(60, 92)))
    return Image.open(file).convert("RGB")

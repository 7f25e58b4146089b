"""Photographs of products, as a phone takes them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shelfsight.demo.shop.canvas import shifted
from shelfsight.demo.shop.drawing import cut_out
from shelfsight.demo.shop.shop import DemoProduct

PHOTO_SIDE = 720
"""Width and height of a photograph in pixels."""

SURFACES = ((164, 124, 84), (122, 126, 130), (186, 174, 156), (110, 92, 80), (138, 150, 134))
"""What products lie on: pine, slate, linen, walnut, felt."""

Numbers = NDArray[np.float32]


def take_photographs(
    shop: Sequence[DemoProduct], into: Path, *, seed: int, count: int = 10
) -> list[tuple[Path, str]]:
    """Photograph `count` products picked by the seed; gives each photo's file and the SKU.

    A photograph that is there already is not taken again.

    Products that share their picture with others are not picked: they cannot be told apart.
    """
    random = np.random.default_rng(seed)
    uses = Counter(product.picture for product in shop)
    choice = [(p.sku, p.design) for p in shop if p.design is not None and uses[p.picture] == 1]
    into.mkdir(parents=True, exist_ok=True)
    photographs = []
    for i in random.permutation(len(choice))[:count]:
        sku, design = choice[i]
        path = into / f"{sku}.jpg"
        if not path.exists():
            _keep(photograph(cut_out(design), np.random.default_rng([seed, i])), path)
        photographs.append((path, sku))
    return photographs


def _keep(photo: Image.Image, path: Path) -> None:
    """Save as a phone does; the file is there whole or not at all."""
    part = path.with_suffix(".part")
    photo.save(part, format="JPEG", quality=75)
    part.replace(path)


def photograph(product: Image.Image, random: np.random.Generator) -> Image.Image:
    """A photo of a product that lies on a table: 720 x 720, RGB.

    Turned by up to 15 degrees, seen at a slant, close enough that some of it may be cut off,
    darker, with a cast of colour, unsharp and noisy. Where `product` is transparent the table
    is seen.
    """
    seen = product.convert("RGBA").transform(
        (PHOTO_SIDE, PHOTO_SIDE),
        Image.Transform.PERSPECTIVE,
        _view(product.width, random),
        Image.Resampling.BICUBIC,
    )
    scene, mask = _table(random), seen.getchannel("A")
    shadow = shifted(mask.filter(ImageFilter.GaussianBlur(14)), 14, 18)
    scene.paste((18, 14, 12), mask=shadow.point([level * 55 // 100 for level in range(256)]))
    scene.paste(seen, mask=mask)
    return _exposed(scene.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2))), random)


def _view(side: int, random: np.random.Generator) -> list[float]:
    """The eight numbers by which Pillow maps a photo's point to the product's: a homography."""
    angle = np.deg2rad(random.uniform(-15, 15))
    half = PHOTO_SIDE / 2 * random.uniform(1.02, 1.22)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = random.uniform(-0.04, 0.04, (4, 2)) * PHOTO_SIDE
    seen = square @ turn.T + slant + PHOTO_SIDE / 2 * random.uniform(0.94, 1.06, 2)
    drawn = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * side
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(seen, drawn, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution: list[float] = np.linalg.solve(np.array(rows), drawn.ravel()).tolist()
    return solution


def _table(random: np.random.Generator) -> Image.Image:
    """A surface with a grain that runs across it and light that falls off to one side."""
    colour = np.array(SURFACES[int(random.integers(len(SURFACES)))], np.float32)
    grain = _cloud(random, (60, 3)) * 16 + _cloud(random, (180, 12)) * 8
    light = 1 + 0.12 * _cloud(random, (2, 2))
    return _image((colour + grain[..., None]) * light[..., None])


def _cloud(random: np.random.Generator, cells: tuple[int, int]) -> Numbers:
    """Smooth noise in [-1, 1] with so many cells down and across."""
    noise = Image.fromarray(random.uniform(-1, 1, cells).astype(np.float32))
    return np.asarray(noise.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BILINEAR), np.float32)


def _exposed(scene: Image.Image, random: np.random.Generator) -> Image.Image:
    """Darker, tinted, darker still in the corners, and with the noise of a small sensor."""
    across = np.linspace(-1, 1, PHOTO_SIDE, dtype=np.float32)
    vignette = 1 - random.uniform(0.05, 0.2) * (across[:, None] ** 2 + across**2) / 2
    tint = random.uniform(0.66, 0.95) * random.uniform(0.9, 1.08, 3).astype(np.float32)
    noise = random.uniform(2, 7) * random.standard_normal((PHOTO_SIDE, PHOTO_SIDE, 3), np.float32)
    return _image(np.asarray(scene, np.float32) * vignette[..., None] * tint + noise)


def _image(pixels: Numbers) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))

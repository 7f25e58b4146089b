"""Simulate photos of products as a phone takes them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shelfsight.demo.shop.canvas import shift_mask
from shelfsight.demo.shop.drawing import cut_out
from shelfsight.demo.shop.products import DemoProduct

PHOTO_SIDE = 720
"""Width and height of a photograph in pixels."""

SURFACES = ((164, 124, 84), (122, 126, 130), (186, 174, 156), (110, 92, 80), (138, 150, 134))
"""RGB colours of what products lie on: pine, slate, linen, walnut, felt."""

FloatPixels = NDArray[np.float32]


def take_photographs(
    shop: Sequence[DemoProduct], folder: Path, *, seed: int, count: int = 10
) -> list[tuple[Path, str]]:
    """Photograph `count` products picked by the seed; return each photo's path and its SKU.

    Existing files are kept. Products that share their picture with others are not picked, since
    no photo could tell them apart.
    """
    random = np.random.default_rng(seed)
    picture_uses = Counter(product.picture for product in shop)
    candidates = [
        (p.sku, p.design) for p in shop if p.design is not None and picture_uses[p.picture] == 1
    ]
    folder.mkdir(parents=True, exist_ok=True)
    photographs = []
    for i in random.permutation(len(candidates))[:count]:
        sku, design = candidates[i]
        path = folder / f"{sku}.jpg"
        if not path.exists():
            _save(photograph(cut_out(design), np.random.default_rng([seed, i])), path)
        photographs.append((path, sku))
    return photographs


def _save(photo: Image.Image, path: Path) -> None:
    """Save a photo as a JPEG with the quality of a phone, atomically.

    No partial file appears under `path`.
    """
    part = path.with_suffix(".part")
    photo.save(part, format="JPEG", quality=75)
    part.replace(path)


def photograph(product: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return a photo of a product that lies on a table: 720 x 720, RGB.

    The product is rotated by up to 15 degrees and seen in perspective. It is so close that parts of
    it may be cut off. The photo is darkened, tinted, blurred and noisy. The table is visible
    wherever `product` is transparent.
    """
    seen = product.convert("RGBA").transform(
        (PHOTO_SIDE, PHOTO_SIDE),
        Image.Transform.PERSPECTIVE,
        _perspective(product.width, random),
        Image.Resampling.BICUBIC,
    )
    scene, mask = _table_surface(random), seen.getchannel("A")
    shadow = shift_mask(mask.filter(ImageFilter.GaussianBlur(14)), 14, 18)
    scene.paste((18, 14, 12), mask=shadow.point([level * 55 // 100 for level in range(256)]))
    scene.paste(seen, mask=mask)
    return _develop(scene.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2))), random)


def _perspective(side: int, random: np.random.Generator) -> list[float]:
    """Return the homography, as Pillow's eight coefficients, from photo to product pixels."""
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


def _table_surface(random: np.random.Generator) -> Image.Image:
    """Return the picture of a grainy surface under uneven light."""
    colour = np.array(SURFACES[int(random.integers(len(SURFACES)))], np.float32)
    grain = _smooth_noise(random, (60, 3)) * 16 + _smooth_noise(random, (180, 12)) * 8
    light = 1 + 0.12 * _smooth_noise(random, (2, 2))
    return _to_image((colour + grain[..., None]) * light[..., None])


def _smooth_noise(random: np.random.Generator, cells: tuple[int, int]) -> FloatPixels:
    """Return smooth noise in [-1, 1]; `cells` is how many random values it has down and across."""
    noise = Image.fromarray(random.uniform(-1, 1, cells).astype(np.float32))
    return np.asarray(noise.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BILINEAR), np.float32)


def _develop(scene: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return the scene darkened, tinted, with a vignette and the noise of a small sensor."""
    across = np.linspace(-1, 1, PHOTO_SIDE, dtype=np.float32)
    vignette = 1 - random.uniform(0.05, 0.2) * (across[:, None] ** 2 + across**2) / 2
    tint = random.uniform(0.66, 0.95) * random.uniform(0.9, 1.08, 3).astype(np.float32)
    noise = random.uniform(2, 7) * random.standard_normal((PHOTO_SIDE, PHOTO_SIDE, 3), np.float32)
    return _to_image(np.asarray(scene, np.float32) * vignette[..., None] * tint + noise)


def _to_image(pixels: FloatPixels) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))

"""Draw the shop's pictures and save them as files."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.demo.shop.bags import BAGS
from shelfsight.demo.shop.brush import Brush
from shelfsight.demo.shop.canvas import SIDE, Canvas
from shelfsight.demo.shop.design import Design
from shelfsight.demo.shop.faces_and_animals import FACES_AND_ANIMALS
from shelfsight.demo.shop.footwear import FOOTWEAR
from shelfsight.demo.shop.garments import GARMENTS
from shelfsight.demo.shop.headwear import HEADWEAR
from shelfsight.demo.shop.home import HOME
from shelfsight.demo.shop.lettering import LETTERING
from shelfsight.demo.shop.motifs import MOTIFS
from shelfsight.demo.shop.palettes import PALETTES
from shelfsight.demo.shop.patterns import GEOMETRIC_PATTERNS, PaintArtwork
from shelfsight.demo.shop.products import DemoProduct
from shelfsight.demo.shop.scenes import SCENES
from shelfsight.demo.shop.style import DrawProduct, Style
from shelfsight.demo.shop.vessels import VESSELS

PRODUCT_DRAWERS: dict[str, DrawProduct] = {
    **VESSELS,
    **GARMENTS,
    **HEADWEAR,
    **FOOTWEAR,
    **BAGS,
    **HOME,
}
SINGLE_PICTURES: dict[str, PaintArtwork] = {**SCENES, **FACES_AND_ANIMALS, **LETTERING}
ARTWORK_PAINTERS: dict[str, PaintArtwork] = {**GEOMETRIC_PATTERNS, **MOTIFS, **SINGLE_PICTURES}
_PALETTES_BY_NAME = {palette.name: palette for palette in PALETTES}

PICTURE_SIDE = 512
EXIF_ORIENTATION = 0x0112
ROTATE_CLOCKWISE = 6
"""The EXIF orientation of a picture to rotate 90 degrees clockwise for display."""

MIN_PICTURES_PER_PROCESS = 24
"""Drawing fewer pictures than this takes less time than starting another process."""


def draw_pictures(shop: Iterable[DemoProduct], folder: Path) -> int:
    """Draw the pictures that `folder` lacks; return how many were drawn.

    Creates the folder if necessary. Files are written atomically. With many pictures to draw,
    several processes share the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    designs = {p.design.file_name: p.design for p in shop if p.design is not None}
    missing = [d for name, d in designs.items() if not (folder / name).exists()]
    workers = min(os.cpu_count() or 1, len(missing) // MIN_PICTURES_PER_PROCESS)
    if workers < 2:
        for design in missing:
            _write_picture(design, folder)
        return len(missing)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write_picture, missing, [folder] * len(missing), chunksize=8))
    return len(missing)


def draw(design: Design) -> Image.Image:
    """Return the picture of a product on its light backdrop: 512 x 512, RGB."""
    return _downscale(_draw_on_canvas(design).image)


def cut_out(design: Design) -> Image.Image:
    """Return the product without backdrop and shadow: 512 x 512, RGBA."""
    canvas = _draw_on_canvas(design)
    canvas.image.putalpha(canvas.coverage)
    return _downscale(canvas.image)


def _draw_on_canvas(design: Design) -> Canvas:
    """Paint the artwork of the design, and draw the product with it."""
    palette, random = _PALETTES_BY_NAME[design.palette], np.random.default_rng(design.seed)
    artwork = Image.new("RGB", (SIDE, SIDE), palette.paper)
    ARTWORK_PAINTERS[design.pattern](Brush(artwork), palette, random)
    canvas = Canvas(random)
    PRODUCT_DRAWERS[design.kind](
        canvas, Style(artwork, design.pattern in SINGLE_PICTURES, palette, random)
    )
    return canvas


def _downscale(image: Image.Image) -> Image.Image:
    return image.reduce(SIDE // PICTURE_SIDE)


def _write_picture(design: Design, folder: Path) -> None:
    """Write the picture's file, under a temporary name until it is complete."""
    path = folder / design.file_name
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_bytes(_encode(design))
    unfinished.replace(path)


def _encode(design: Design) -> bytes:
    image = cut_out(design) if design.format == "cutout" else draw(design)
    file = io.BytesIO()
    match design.format:
        case "cutout" | "png":
            image.save(file, "PNG", compress_level=4)
        case "webp":
            image.save(file, "WEBP", quality=88, method=2)
        case "gif":
            image.quantize(256).save(file, "GIF")
        case "cmyk":
            image.convert("CMYK").save(file, "JPEG", quality=92)
        case "sideways":
            exif = Image.Exif()
            exif[EXIF_ORIENTATION] = ROTATE_CLOCKWISE
            rotated = image.transpose(Image.Transpose.ROTATE_90)
            rotated.save(file, "JPEG", quality=92, exif=exif)
        case "jpeg":
            image.save(file, "JPEG", quality=90)
    return file.getvalue()

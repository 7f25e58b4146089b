"""Draws the shop's pictures into files."""

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
from shelfsight.demo.shop.footwear import FOOTWEAR
from shelfsight.demo.shop.garments import GARMENTS
from shelfsight.demo.shop.headwear import HEADWEAR
from shelfsight.demo.shop.home import HOME
from shelfsight.demo.shop.lettering import LETTERING
from shelfsight.demo.shop.look import Draw, Look
from shelfsight.demo.shop.motifs import MOTIFS
from shelfsight.demo.shop.palettes import PALETTES
from shelfsight.demo.shop.patterns import REPEATS, Paint
from shelfsight.demo.shop.portraits import PORTRAITS
from shelfsight.demo.shop.scenes import SCENES
from shelfsight.demo.shop.shop import DemoProduct
from shelfsight.demo.shop.vessels import VESSELS

KINDS: dict[str, Draw] = {**VESSELS, **GARMENTS, **HEADWEAR, **FOOTWEAR, **BAGS, **HOME}
SINGLES: dict[str, Paint] = {**SCENES, **PORTRAITS, **LETTERING}
PATTERNS: dict[str, Paint] = {**REPEATS, **MOTIFS, **SINGLES}
_PALETTES = {palette.name: palette for palette in PALETTES}

PICTURE_SIDE = 512
ORIENTATION = 0x0112
TURN_RIGHT = 6
"""The EXIF orientation of a picture that is to be turned clockwise to stand upright."""

WORTH_A_PROCESS = 24
"""Fewer pictures than this are drawn sooner than another process has started."""


def draw_pictures(shop: Iterable[DemoProduct], folder: Path) -> int:
    """Draw what is missing in `folder` (made if need be); gives how many pictures were drawn.

    A file is there whole or not at all. Several processes share the work when there is much.
    """
    folder.mkdir(parents=True, exist_ok=True)
    designs = {p.design.file_name: p.design for p in shop if p.design is not None}
    missing = [d for name, d in designs.items() if not (folder / name).exists()]
    workers = min(os.cpu_count() or 1, len(missing) // WORTH_A_PROCESS)
    if workers < 2:
        for design in missing:
            _keep(design, folder)
        return len(missing)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_keep, missing, [folder] * len(missing), chunksize=8))
    return len(missing)


def draw(design: Design) -> Image.Image:
    """The product on its light backdrop: 512 x 512, RGB."""
    return _finished(_drawn(design).image)


def cut_out(design: Design) -> Image.Image:
    """The product alone, without backdrop and shadow: 512 x 512, RGBA."""
    canvas = _drawn(design)
    canvas.image.putalpha(canvas.cover)
    return _finished(canvas.image)


def _drawn(design: Design) -> Canvas:
    palette, random = _PALETTES[design.palette], np.random.default_rng(design.seed)
    print_ = Image.new("RGB", (SIDE, SIDE), palette.paper)
    PATTERNS[design.pattern](Brush(print_), palette, random)
    canvas = Canvas(random)
    KINDS[design.kind](canvas, Look(print_, design.pattern in SINGLES, palette, random))
    return canvas


def _finished(image: Image.Image) -> Image.Image:
    return image.reduce(SIDE // PICTURE_SIDE)


def _keep(design: Design, folder: Path) -> None:
    """Write the picture's file, under another name until it is whole."""
    path = folder / design.file_name
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_bytes(_encoded(design))
    unfinished.replace(path)


def _encoded(design: Design) -> bytes:
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
            exif[ORIENTATION] = TURN_RIGHT
            lying = image.transpose(Image.Transpose.ROTATE_90)
            lying.save(file, "JPEG", quality=92, exif=exif)
        case "jpeg":
            image.save(file, "JPEG", quality=90)
    return file.getvalue()

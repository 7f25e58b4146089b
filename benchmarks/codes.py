"""How many barcodes in photos are read: by angle, blur, light and width, and what it costs.

    python -m benchmarks.codes ../grocery/photos

Codes that this draws are pasted on the photos of a folder, which should have no codes themselves.
"""

import io
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zxingcpp
from PIL import Image, ImageEnhance, ImageFilter

from shelfsight.images.codes import read_codes

SIZE = (1280, 960)
QUIET = 18 / 95  # the quiet zones of an EAN-13, as a share of its bars


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a code is photographed: the width of its bars in pixels, degrees, blur in pixels."""

    bars: int = 240
    angle: float | None = None
    blur: float = 0
    light: float = 1
    noise: float = 0


CONDITIONS = {
    "240 pixels wide, level": Conditions(angle=0),
    "25 degrees": Conditions(angle=25),
    "45 degrees": Conditions(angle=45),
    "any angle": Conditions(),
    "any angle, blur 1": Conditions(blur=1),
    "any angle, blur 1.5": Conditions(blur=1.5),
    "any angle, a quarter of the light": Conditions(light=0.25),
    "any angle, blur 0.7, noise 10": Conditions(blur=0.7, noise=10),
    "150 pixels wide, any angle": Conditions(bars=150),
    "600 pixels wide, any angle": Conditions(bars=600),
}


def ean13(rng: random.Random) -> str:
    """Return the 13 digits of a random EAN-13."""
    digits = [rng.randrange(10) for _ in range(12)]
    check = -sum(d * (3 if n % 2 else 1) for n, d in enumerate(digits)) % 10
    return "".join(map(str, [*digits, check]))


def photographed(base: Image.Image, code: str, how: Conditions, rng: random.Random) -> Image.Image:
    """Paste the label of an EAN-13 on a photo, under these conditions."""
    barcode = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.EAN13)
    drawn = zxingcpp.write_barcode_to_image(barcode, scale=6, add_quiet_zones=True)
    width = round(how.bars * (1 + QUIET))
    bars = Image.fromarray(np.array(drawn)).resize((width, width // 3), Image.Resampling.LANCZOS)
    label = Image.new("RGB", (width + 16, width // 3 + 16), "white")
    label.paste(bars.convert("RGB"), (8, 8))
    angle = rng.uniform(0, 360) if how.angle is None else how.angle
    mask = Image.new("L", label.size, 255).rotate(angle, expand=True)
    label = label.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    photo = base.convert("RGB").resize(SIZE)
    left, top = (rng.randrange(max(1, SIZE[n] - label.size[n])) for n in (0, 1))
    photo.paste(label, (left, top), mask)
    photo = photo.filter(ImageFilter.GaussianBlur(how.blur))
    photo = ImageEnhance.Brightness(photo).enhance(how.light)
    if how.noise:
        grain = np.random.default_rng(rng.randrange(2**32)).normal(0, how.noise, (*SIZE[::-1], 3))
        pixels = np.clip(np.asarray(photo) + grain, 0, 255)
        photo = Image.fromarray(pixels.astype(np.uint8))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=85)
    return Image.open(file)


def main(folder: Path, count: int = 60) -> None:
    """Print a table, a line for each condition."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"})
    rng = random.Random(7)
    for name, how in CONDITIONS.items():
        cases = []
        for _ in range(count):
            code = ean13(rng)
            cases.append((code, photographed(Image.open(rng.choice(paths)), code, how, rng)))
        read, cost = _read([photo for _, photo in cases])
        right = sum(code in found for (code, _), found in zip(cases, read, strict=True))
        print(f"{name:38}{right:4} of {count}   {cost:5.1f} ms")
    photos = [Image.open(path).resize(SIZE) for path in rng.sample(paths, min(len(paths), 300))]
    read, cost = _read(photos)
    print(f"without a code, {len(photos)} photos: {sum(map(bool, read))} read   {cost:5.1f} ms")


def _read(photos: Sequence[Image.Image]) -> tuple[list[tuple[str, ...]], float]:
    """Return what is read from each photo, and the processor time per photo in milliseconds."""
    loaded = [photo.convert("RGB") for photo in photos]
    started = time.process_time()
    found = [read_codes(photo) for photo in loaded]
    return found, 1000 * (time.process_time() - started) / len(loaded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

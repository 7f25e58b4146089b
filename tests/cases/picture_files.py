"""Writes picture files of kinds that once failed, ten of each, by a seed.

    python -m tests.cases.picture_files FOLDER

writes them all into a folder, to try them with other programs.
"""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

from tests.cases.icc_profiles import PRIMARIES, rgb_profile

pillow_heif.register_heif_opener()  # so that Pillow can write HEIC

EACH = 10

FLAT_FORMATS = ("PNG", "WEBP", "TIFF", "BMP", "GIF")


def scene(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Draw shapes of the colours of a shop, with a little noise."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(120, 256, 3).tolist()))
    drawn = ImageDraw.Draw(image)
    for number in range(6):
        corner = (rng.random(2) * size * 0.8).astype(int)
        box = (*corner.tolist(), *(corner + size[1] // 4).tolist())
        fill = tuple(rng.integers(20, 220, 3).tolist())
        (drawn.ellipse if number % 2 else drawn.rectangle)(box, fill=fill)
    noise = rng.integers(-6, 7, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(image, int) + noise).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    """Return the file of a picture."""
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def png_with_chunk(png: bytes, name: bytes, body: bytes, *, is_wrong: bool = False) -> bytes:
    """Put a chunk behind the header of a PNG; its checksum may be wrong."""
    checksum = zlib.crc32(name + body) ^ is_wrong
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)
    return png[:33] + chunk + png[33:]


ANCILLARY = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"sRGB": b"\0",
    b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
    b"sBIT": b"\x08\x08\x08",
    b"bKGD": bytes(6),
    b"tIME": struct.pack(">HBBBBB", 2026, 11, 30, 12, 0, 0),
    b"tEXt": b"Comment\0a mug",
    b"zTXt": b"Comment\0\0" + zlib.compress(b"a mug"),
    b"iTXt": b"Comment\0\0\0\0\0a mug",
}


def wrong_checksums() -> Iterator[bytes]:
    """Yield PNG files in which the checksum of one ancillary chunk is wrong."""
    for seed, (name, body) in enumerate(ANCILLARY.items()):
        yield png_with_chunk(saved(scene(seed), "PNG"), name, body, is_wrong=True)


MALFORMED = (
    (b"iCCP", b""),
    (b"iCCP", b"\0\0" + zlib.compress(b"a profile")),
    (b"iCCP", b"ICC\0\7" + zlib.compress(b"a profile")),
    (b"iCCP", b"ICC\0\0not packed"),
    (b"tRNS", b"\0\1\2"),
    (b"gAMA", b"\0"),
    (b"cHRM", b"\0\1"),
    (b"pHYs", b""),
    (b"zTXt", b"Comment\0\0not packed"),
    (b"iTXt", b"Comment\0\1"),
)
"""Chunks beside the picture that cannot be read, although their checksum is right."""


def malformed_chunks() -> Iterator[bytes]:
    """Yield PNG files with a chunk that cannot be read and is no part of the picture."""
    for seed, (name, body) in enumerate(MALFORMED):
        yield png_with_chunk(saved(scene(seed), "PNG"), name, body)


def large_metadata() -> Iterator[bytes]:
    """Yield PNG files whose profile, or text, unpacks to more than 1 MB."""
    packed = [zlib.compress(bytes(1_100_000 + 700_000 * size)) for size in range(4)]
    for seed in range(EACH):
        body = packed[seed % 4]
        name, chunk = (
            (b"iCCP", b"ICC\0\0" + body),
            (b"zTXt", b"raw\0\0" + body),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + body),
        )[seed % 3]
        yield png_with_chunk(saved(scene(seed), "PNG"), name, chunk)


CUT_OPTIONS: tuple[dict[str, object], ...] = (
    {"quality": 85},
    {"quality": 85, "progressive": True},
    {"quality": 95, "subsampling": 0},
    {"quality": 60, "optimize": True},
    {"quality": 90, "restart_marker_rows": 1},
)


def cut_jpegs() -> Iterator[bytes]:
    """Yield JPEG files without their last bytes: the end marker, or up to 1% of the file."""
    for seed in range(EACH):
        mode = ("RGB", "L", "CMYK")[seed % 3]
        whole = saved(scene(seed).convert(mode), "JPEG", **CUT_OPTIONS[seed % 5])
        yield whole[: -max(1, (0, 1, 2, 3, len(whole) // 100)[seed % 5])]


def half_jpegs() -> Iterator[bytes]:
    """Yield JPEG files of which much more is missing."""
    for seed in range(EACH):
        whole = saved(scene(seed), "JPEG", **CUT_OPTIONS[seed % 5])
        yield whole[: len(whole) * (92, 80, 60, 40, 70)[seed % 5] // 100]


def large_jpegs() -> Iterator[bytes]:
    """Yield JPEG files of 26 to 51 megapixels, in the shapes of phones."""
    for seed in range(EACH):
        width = 5900 + 250 * seed
        size = (width, width * 3 // 4) if seed % 2 else (width * 3 // 4, width)
        image = scene(seed).convert("L" if seed % 5 else "RGB").resize(size, Image.Resampling.BOX)
        yield saved(image, "JPEG", quality=70, progressive=seed == 3)


def white_on_transparent(seed: int) -> Image.Image:
    """Draw a nearly white shape on nothing."""
    image = Image.new("RGBA", (160, 120), (255, 255, 255, 0))
    white = (255 - seed % 4, 255 - seed % 3, 255, 255)
    box = (20 + seed, 15, 120, 70 + 3 * seed)
    drawn = ImageDraw.Draw(image)
    (drawn.ellipse if seed % 2 else drawn.rectangle)(box, fill=white)
    return image


def white_things() -> Iterator[bytes]:
    """Yield files of a white thing on nothing, in each format that has transparency."""
    for seed in range(EACH):
        image = white_on_transparent(seed)
        name = ("PNG", "WEBP", "TIFF", "AVIF", "GIF")[seed % 5]
        yield saved(image.convert("LA") if seed == 5 else image, name)


def invisible() -> Iterator[bytes]:
    """Yield files in which all is transparent, whatever the colours below."""
    for seed in range(EACH):
        image = scene(seed).convert("RGBA")
        image.putalpha(seed % 3)
        yield saved(image, ("PNG", "TIFF")[seed % 2])


def all_white() -> Iterator[bytes]:
    """Yield files in which nothing is seen, because all of it is white."""
    for seed in range(EACH):
        image = Image.new("RGB", (40 + 30 * seed, 70), (255 - seed % 3, 255, 255 - seed % 2))
        yield saved(image, ("JPEG", *FLAT_FORMATS)[seed % 6])


def plain_colors() -> Iterator[bytes]:
    """Yield files of one colour, such as paint and cloth; black and cream are among them."""
    colors = ("black", "red", "navy", "#f5f0e6", "grey", "#eeeeee", "olive", "pink", "teal", "#222")
    for seed, color in enumerate(colors):
        yield saved(Image.new("RGB", (90, 60), color), ("JPEG", *FLAT_FORMATS)[seed % 6])


def bmp_without_alpha(image: Image.Image, header: int) -> bytes:
    """Write a BMP of 32 bits (header of version 4 or 5) whose alpha is 0 everywhere."""
    red, green, blue = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).split()
    rows = Image.merge("RGBA", (blue, green, red, Image.new("L", image.size, 0))).tobytes()
    size = {4: 108, 5: 124}[header]
    info = struct.pack("<IiiHHIIiiII", size, *image.size, 1, 32, 3, len(rows), 2835, 2835, 0, 0)
    masks = struct.pack("<4I4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    head = (info + masks).ljust(size, b"\0")
    return struct.pack("<2sIHHI", b"BM", 14 + size + len(rows), 0, 0, 14 + size) + head + rows


def bmps() -> Iterator[bytes]:
    """Yield BMP files whose alpha is 0 everywhere."""
    return (bmp_without_alpha(scene(seed), 4 + seed % 2) for seed in range(EACH))


def phone_formats() -> Iterator[bytes]:
    """Yield AVIF and HEIC files."""
    for seed in range(EACH):
        yield saved(scene(seed), "HEIF" if seed % 2 else "AVIF", quality=80 + seed)


def with_profiles() -> Iterator[bytes]:
    """Yield files whose colours are those of another space than sRGB."""
    names = [name for name in PRIMARIES if name != "sRGB"]
    for seed in range(EACH):
        name = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")[seed % 5]
        profile = rgb_profile(names[seed % 3], (2.2, 1.8)[seed % 2])
        yield saved(scene(seed), name, icc_profile=profile, quality=95)


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    kind.__name__: kind
    for kind in (
        wrong_checksums,
        malformed_chunks,
        large_metadata,
        cut_jpegs,
        half_jpegs,
        large_jpegs,
        white_things,
        invisible,
        all_white,
        plain_colors,
        bmps,
        phone_formats,
        with_profiles,
    )
}


def main() -> None:
    """Write all files into the folder that is named."""
    for kind, files in KINDS.items():
        for number, content in enumerate(files()):
            Path(sys.argv[1], f"{kind}_{number}").write_bytes(content)


if __name__ == "__main__":
    main()

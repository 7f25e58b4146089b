"""Hostile picture files, one function for each; none of them comes from elsewhere.

`ATTACKS` has them all by name. Each aims at time, at memory, or at both.
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

from PIL import Image

_SCAN = b"\xff\xda"


def jpeg_of_many_scans() -> bytes:
    """A progressive JPEG of 25 megapixels whose last scan comes hundreds of times."""
    data = _saved(Image.new("L", (5000, 5000), 128), "JPEG", progressive=True)
    start = data.rfind(_SCAN)
    return data[:-2] + data[start:-2] * 400 + data[-2:]


def jpeg_of_hidden_scans() -> bytes:
    """The same, with a marker `FF 01` before each scan.

    The marker has no length (ITU T.81, B.1.1.3). A parser that reads one skips the scan.
    """
    data = _saved(Image.new("L", (5000, 5000), 128), "JPEG", progressive=True)
    start = data.rfind(_SCAN)
    return data[:-2] + (b"\xff\x01" + data[start:-2]) * 400 + data[-2:]


def jpeg_that_claims_to_be_huge() -> bytes:
    """A JPEG of a few bytes with sides of 65,500 pixels."""
    data = bytearray(_saved(Image.new("RGB", (8, 8)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def progressive_jpeg_that_claims_to_be_huge() -> bytes:
    """The same, but all coefficients must be kept in memory."""
    data = bytearray(_saved(Image.new("RGB", (8, 8)), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def tiff_of_a_huge_tile() -> bytes:
    """A TIFF of 16 x 16 pixels in one tile of 705 MB."""
    return _tiff({256: 16, 257: 16, 322: 26_560, 323: 26_560}, 26_560**2)


def tiff_of_a_huge_strip() -> bytes:
    """A TIFF of 24 megapixels in one strip, which unpacks to 4 GB."""
    return _tiff({256: 24_000, 257: 1000, 278: 1000}, 4_000_000_000)


def tiff_of_tiles_told_twice() -> bytes:
    """A TIFF that gives the size of its tiles twice, so that two readers may differ."""
    return _tiff({256: 16, 257: 16, 322: 26_560, 323: 26_560}, 26_560**2, twice=True)


def png_of_zeros() -> bytes:
    """A PNG of 25 megapixels, 16 bits and four channels: 200 MB out of 200 kB."""
    return _png((5000, 5000), 16, 6, _zeros(5000 * (1 + 5000 * 8)))


def png_that_goes_on() -> bytes:
    """A PNG of one pixel whose data unpack to 10 GB."""
    return _png((1, 1), 8, 2, _zeros(10_000_000_000))


def png_of_text() -> bytes:
    """A PNG with 200 compressed comments of 50 MB each."""
    text = b"a\0\0" + _zeros(50_000_000)
    return _png((1, 1), 8, 2, zlib.compress(bytes(4)), [(b"zTXt", text)] * 200)


def png_of_a_profile() -> bytes:
    """A PNG whose colour profile unpacks to 1 GB."""
    return _png((1, 1), 8, 2, zlib.compress(bytes(4)), [(b"iCCP", b"a\0\0" + _zeros(10**9))])


def png_of_many_chunks() -> bytes:
    """A PNG of a million empty chunks."""
    return _png((1, 1), 8, 2, zlib.compress(bytes(4)), [(b"teXt", b"")] * 1_000_000)


def gif_of_many_frames() -> bytes:
    """A GIF of 4,000 x 4,000 pixels and 2,000 frames."""
    first = _saved(Image.new("P", (4000, 4000)), "GIF")
    start = first.index(b"\x2c", 13)
    return first[:-1] + first[start:-1] * 2000 + b"\x3b"


def webp_of_many_frames() -> bytes:
    """An animated WebP of 3,000 x 2,000 pixels."""
    frames = [Image.new("RGB", (3000, 2000), (shade, 0, 0)) for shade in (0, 255) * 3]
    return _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0)


def webp_that_claims_to_be_huge() -> bytes:
    """A WebP whose canvas is told to be 16,777,216 x 250 pixels."""
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 255)]
    data = bytearray(_saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (2**24 - 1).to_bytes(3, "little") + (249).to_bytes(3, "little")
    return bytes(data)


def avif_of_a_huge_frame() -> bytes:
    """An AVIF that claims 16 x 16 pixels and holds a frame of 9 megapixels."""
    data = bytearray(_saved(Image.new("RGB", (3000, 3000)), "AVIF", speed=10))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 16, 16)
    return bytes(data)


def bmp_of_runs() -> bytes:
    """A run-length BMP of 25 megapixels that goes up and down pixel by pixel."""
    head = struct.pack("<IiiHHIIiiII", 40, 5000, 5000, 1, 8, 1, 0, 0, 0, 0, 0)
    runs = b"\x01\x00" * 9_000_000
    start = 14 + len(head) + 1024
    file = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    return file + head + bytes(1024) + runs


ATTACKS: dict[str, Callable[[], bytes]] = {
    attack.__name__: attack
    for attack in (
        jpeg_of_many_scans,
        jpeg_of_hidden_scans,
        jpeg_that_claims_to_be_huge,
        progressive_jpeg_that_claims_to_be_huge,
        tiff_of_a_huge_tile,
        tiff_of_a_huge_strip,
        tiff_of_tiles_told_twice,
        png_of_zeros,
        png_that_goes_on,
        png_of_text,
        png_of_a_profile,
        png_of_many_chunks,
        gif_of_many_frames,
        webp_of_many_frames,
        webp_that_claims_to_be_huge,
        avif_of_a_huge_frame,
        bmp_of_runs,
    )
}


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _zeros(count: int) -> bytes:
    """Return a zlib stream of this many zero bytes: one block of a million, again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % 1_000_000)) + packer.flush()
    adler = (count % 65_521) << 16 | 1
    return b"\x78\xda" + block * (count // 1_000_000) + rest + struct.pack(">I", adler)


def _png(
    size: tuple[int, int],
    depth: int,
    colour: int,
    content: bytes,
    chunks: list[tuple[bytes, bytes]] | None = None,
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    every = [(b"IHDR", header), *(chunks or []), (b"IDAT", content), (b"IEND", b"")]
    cached = {part: _chunk(*part) for part in set(every)}
    return b"\x89PNG\r\n\x1a\n" + b"".join(cached[part] for part in every)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _tiff(sizes: dict[int, int], unpacked: int, *, twice: bool = False) -> bytes:
    """Write a grey, deflated TIFF with one tile or strip of `unpacked` zero bytes."""
    body = _zeros(unpacked)
    is_tiled = 322 in sizes
    tags = {258: 8, 259: 8, 262: 1, 277: 1, **sizes}
    start = 8 + 2 + 12 * (len(tags) + 2 + 2 * twice) + 4
    tags[324 if is_tiled else 273] = start
    tags[325 if is_tiled else 279] = len(body)
    entries = [*tags.items(), *([(322, 16), (323, 16)] if twice else [])]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + body

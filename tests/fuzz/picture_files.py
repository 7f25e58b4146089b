"""Fuzzes the decoding of pictures, in the processes that serve scans and backfills."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO

import numpy as np
import pillow_heif
from hypothesis import strategies as st
from PIL import Image

from shelfsight.backfill.failure_kinds import KINDS
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import PhotoViews, photo_views, reduced, thumbnail, whole
from shelfsight.images.file_formats import FORMATS
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import PictureFormat, Stage
from tests.fuzz.mutations import mutated

_PNG = b"\x89PNG\r\n\x1a\n"
_FORMAT = PictureFormat(side=32, resample="bicubic")
_JOBS = {
    "whole": (whole(_FORMAT), 1),
    "reduced": (reduced(_FORMAT), 1),
    "views": (photo_views(3, _FORMAT, codes=True), 3),
    "thumbnail": (thumbnail(32), 1),
}
pillow_heif.register_heif_opener()  # so that Pillow can write HEIC
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F")
_VARIANTS: dict[str, tuple[dict[str, object], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
    "PNG": ({}, {"bits": 4}),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "packbits"}),
    "GIF": ({}, {"save_all": True, "append_images": [Image.new("L", (9, 9), 90)]}),
    "WEBP": ({}, {"lossless": True}),
}


def _seeds() -> list[bytes]:
    values = np.random.default_rng(1).integers(0, 256, (19, 23, 3), dtype=np.uint8)
    photo = Image.fromarray(values)
    files = [b"", b"<svg", b"<!doctype html>"]
    for name in FORMATS:
        for mode in _MODES:
            for options in _VARIANTS.get(name, ({},)):
                file = BytesIO()
                try:
                    photo.convert("L" if mode == "I;16" else mode).convert(mode).save(
                        file, name, **options
                    )
                except (OSError, ValueError, KeyError):  # this format has no such mode
                    continue
                files.append(file.getvalue())
    file = BytesIO()
    photo.save(file, "TIFF", compression="jpeg")
    return [*files, file.getvalue()]


def _with_checksums(data: bytes) -> bytes:
    """Mend the checksums of a PNG, which would else end every other fault early."""
    if not data.startswith(_PNG):
        return data
    out, at = bytearray(data[: len(_PNG)]), len(_PNG)
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out)


_SEEDS = _seeds()
_TOKENS = (b"IDAT", b"acTL", b"tRNS", b"iCCP", b"\xff\xda", b"\xff\x01")
_FILES = mutated(_SEEDS, _TOKENS)
INPUTS = st.tuples(st.sampled_from(sorted(_JOBS)), st.one_of(_FILES, _FILES.map(_with_checksums)))


@contextmanager
def checker() -> Iterator[Callable[[tuple[str, bytes]], None]]:
    """Yield a function that decodes a file: pixels of the right shape, or a failure of a kind."""
    with closing(DecoderPool()) as pool:

        def check(case: tuple[str, bytes]) -> None:
            name, data = case
            job, count = _JOBS[name]
            try:
                decoded = pool.submit(job, data).result()
            except UnusablePictureError as error:
                assert error.failure.stage is Stage.DECODE
                assert error.failure.kind in KINDS
                assert error.failure.message.isprintable()
                return
            pixels = decoded.views if isinstance(decoded, PhotoViews) else decoded
            assert pixels.dtype == np.uint8
            assert pixels.shape[0] == count
            assert pixels.shape[3] == 3
            assert max(pixels.shape[1:3]) <= 32
            assert name == "thumbnail" or pixels.shape[1:3] == (32, 32)

        yield check

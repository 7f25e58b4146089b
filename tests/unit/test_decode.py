"""Decoding: odd pictures come out right, and hostile files are failures, never crashes."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from shelfsight.images.decode import MAX_BYTES, decode
from shelfsight.images.file_formats import FORMATS
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, Stage

WHITE = (255, 255, 255)
EXIF_ORIENTATION = 0x0112


pillow_heif.register_heif_opener()  # so that Pillow can write HEIC


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def first_pixel(data: bytes) -> tuple[int, ...]:
    image = decode(data)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def failure(data: bytes) -> Failure:
    with pytest.raises(UnusablePictureError) as caught:
        decode(data)
    assert caught.value.failure.stage is Stage.DECODE
    assert "\n" not in caught.value.failure.message
    return caught.value.failure


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(depth: int, colour: int, row: bytes, *, size: tuple[int, int] = (2, 1), **extra) -> bytes:
    """Write a PNG by hand, in bit depths that Pillow cannot write."""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)),
            *(chunk(name.encode(), body) for name, body in extra.items()),
            chunk(b"IDAT", zlib.compress((b"\0" + row) * size[1])),
            chunk(b"IEND", b""),
        )
    )


def test_all_usual_formats_are_read() -> None:
    assert set(FORMATS) == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"}
    for name in FORMATS:
        red, green, blue = first_pixel(encoded(Image.new("RGB", (32, 32), (250, 120, 5)), name))
        assert abs(red - 250) < 6
        assert abs(green - 120) < 6
        assert abs(blue - 5) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_turned_photo_comes_out_upright(name: str, orientation: int) -> None:
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste("red", (0, 0, 24, 16))
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    image = upright if stored is None else upright.transpose(stored)
    seen = decode(encoded(image, name, exif=exif.tobytes()))
    assert seen.size == upright.size
    assert np.abs(np.asarray(seen, int) - np.asarray(upright, int)).mean() < 8


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_a_photo_with_damaged_exif_is_still_a_photo() -> None:
    data = encoded(noise(), "JPEG", exif=b"Exif\0\0" + b"MM\0\x2a\xff\xff\xff\xff" * 3)
    assert decode(data).size == (60, 40)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_becomes_white(name: str) -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    seen = decode(encoded(image, name, **({"lossless": True} if name == "WEBP" else {})))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (255, 0, 0)]


def test_what_is_half_transparent_is_mixed_with_white() -> None:
    assert first_pixel(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128)), "PNG")) == (
        255,
        127,
        127,
    )
    assert first_pixel(encoded(Image.new("LA", (2, 2), (0, 128)), "PNG")) == (127, 127, 127)


def test_a_palette_with_transparency_is_flattened_on_white() -> None:
    palette = bytes([10, 20, 30, 40, 50, 60])
    seen = decode(png(8, 3, b"\0\1", PLTE=palette, tRNS=b"\x80"))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [(132, 137, 142), (40, 50, 60)]
    image = Image.new("P", (4, 4), 0)
    image.putpixel((1, 1), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    assert first_pixel(encoded(image, "GIF", transparency=0)) == WHITE


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "second"),
    [
        (1, 0, b"\x80", b"\0\1", (0, 0, 0)),
        (2, 0, b"\x60", b"\0\1", (170, 170, 170)),
        (4, 0, b"\x73", b"\0\7", (51, 51, 51)),
        (8, 0, b"\7\x09", b"\0\7", (9, 9, 9)),
        (8, 2, b"\1\2\3\4\5\6", b"\0\1\0\2\0\3", (4, 5, 6)),
        (16, 0, b"\x80\0\xc0\0", b"\x80\0", (192, 192, 192)),
        (16, 2, b"\x80\0\x40\0\0\0\xff\xff\0\0\0\0", b"\x80\0\x40\0\0\0", (255, 0, 0)),
    ],
)
def test_a_png_colour_that_means_transparent_is_white(depth, colour, row, key, second) -> None:
    seen = decode(png(depth, colour, row, tRNS=key))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [WHITE, second]


@pytest.mark.parametrize(
    ("colour", "row", "seen"),
    [
        (0, [0x8000, 0xFFFF], (128, 128, 128)),
        (2, [0x8000, 0x4000, 0, 0, 0, 0], (128, 64, 0)),
        (4, [0x8000, 0xFFFF, 0, 0], (128, 128, 128)),
        (6, [0x8000, 0x4000, 0, 0xFFFF, 0, 0, 0, 0], (128, 64, 0)),
    ],
)
def test_sixteen_bits_are_scaled_and_not_clipped(colour, row, seen) -> None:
    assert first_pixel(png(16, colour, struct.pack(f">{len(row)}H", *row))) == seen


@pytest.mark.parametrize(
    ("values", "kind", "seen"),
    [
        ([0x8000, 0xFFFF], np.uint16, [128, 255]),
        ([0, 40_000], np.int32, [0, 156]),
        ([51, 255], np.int32, [51, 255]),
        ([0, 2**31 - 1], np.int32, [0, 255]),
        ([0.2, 1.0], np.float32, [51, 255]),
        ([51, 255], np.float32, [51, 255]),
        ([-1, 1e30], np.float32, [0, 255]),
        ([np.nan, 1], np.float32, [0, 255]),
    ],
)
def test_numbers_of_many_bits_come_out_as_grey(values, kind, seen) -> None:
    image = decode(encoded(Image.fromarray(np.array([values], dtype=kind)), "TIFF"))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(grey,) * 3 for grey in seen]


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(name: str) -> None:
    red, green, blue = first_pixel(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), name))
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_grey_palette_and_other_modes_become_rgb(mode: str) -> None:
    name = "TIFF" if mode == "YCbCr" else "PNG"
    for level in (0, 255):
        data = encoded(Image.new("RGB", (4, 4), (level,) * 3).convert(mode), name)
        assert first_pixel(data) == (level,) * 3


def test_lab_becomes_rgb() -> None:
    profiles = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
    to_lab = ImageCms.buildTransform(*profiles, "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.new("RGB", (4, 4), (200, 30, 30)), to_lab)
    assert np.abs(np.subtract(first_pixel(encoded(lab, "TIFF")), (200, 30, 30))).max() < 4


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken(name: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    red, _, blue = first_pixel(
        encoded(frames[0], name, save_all=True, append_images=frames[1:], duration=100)
    )
    assert (red > 240, blue < 15) == (True, True)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_that_breaks_off_is_broken(name: str) -> None:
    data = encoded(noise(), name)
    for length in (len(data) // 2, len(data) * 9 // 10, 40):
        assert failure(data[:length]).kind == "broken_image"


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (b"", "empty", "empty"),
        (b"hello", "not_an_image", "not a picture"),
        (b"\n<!DOCTYPE html><title>404</title>", "not_an_image", "web page"),
        (b"\x89PNG\r\n\x1a\nnothing more", "broken_image", "header"),
        (b"\xff\xd8\xff\xe0", "broken_image", "header"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format", "SVG"),
        (b"<?xml version='1.0'?><svg/>", "unsupported_format", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "broken_image", "broken"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avci", "broken_image", "broken"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "unsupported_format", "video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported_format", "JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "unsupported_format", "JPEG XL"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "unsupported_format", "SVG"),
        (b"<!-- drawn --><svg/>", "unsupported_format", "SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg/>", "unsupported_format", "SVG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported_format", "JPEG 2000"),
        (b"%PDF-1.7", "unsupported_format", "PDF"),
        (encoded(noise(), "ICO"), "unsupported_format", "ICO"),
        (encoded(noise(), "PPM"), "not_an_image", "not a picture"),
        (b"\0" * (MAX_BYTES + 1), "too_large", "20,000,000"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, kind: str, word: str) -> None:
    found = failure(data)
    assert found.kind == kind
    assert word in found.message


@pytest.mark.parametrize("size", [(5001, 5000), (25_000_001, 1), (12_000, 12_000), (60_000,) * 2])
def test_too_many_pixels_are_refused_before_they_are_unpacked(size: tuple[int, int]) -> None:
    header = png(8, 2, b"", size=(1, 1))[:16] + struct.pack(">II", *size)
    data = png(8, 2, b"", size=(1, 1))
    body = header[12:16] + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    data = data[:8] + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]
    assert failure(data).kind == "too_many_pixels"


def test_a_jpeg_of_more_pixels_is_read_at_a_reduced_size() -> None:
    data = encoded(Image.new("L", (8000, 6000)), "JPEG")
    assert decode(data).size == (4000, 3000)
    assert decode(data, min_side=6000).size == (4000, 3000)
    assert decode(data, min_side=700).size == (1000, 750)
    assert decode(encoded(Image.new("L", (5000, 5000)), "JPEG")).size == (5000, 5000)


def test_as_many_pixels_as_are_allowed_are_read() -> None:
    assert decode(encoded(Image.new("1", (5000, 5000)), "PNG")).size == (5000, 5000)


SEEDS = [
    encoded(noise(), "JPEG"),
    encoded(noise("CMYK"), "JPEG", progressive=True),
    encoded(noise("RGBA"), "PNG"),
    encoded(noise("P"), "PNG", transparency=3),
    encoded(noise("RGBA"), "WEBP", lossless=True),
    encoded(noise(), "GIF", save_all=True, append_images=[noise("L").convert("RGB")]),
    encoded(noise("P"), "BMP"),
    encoded(noise(), "TIFF"),
    encoded(noise(), "AVIF", speed=10),
    png(4, 0, b"\x73", tRNS=b"\0\7"),
    png(16, 2, bytes(6) + b"\x40" * 6, tRNS=bytes(6)),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of `SEEDS` with a few bytes changed, left out, put in or cut off."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(content) - 1))
        match draw(st.sampled_from(["set", "drop", "insert", "cut"])):
            case "set":
                content[at] = draw(st.integers(0, 255))
            case "drop":
                del content[at : at + 3]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                del content[at:]
        if not content:
            break
    return bytes(content)


@given(damaged())
def test_no_damage_to_a_file_does_more_than_fail_it(data: bytes) -> None:
    try:
        assert decode(data).mode == "RGB"
    except UnusablePictureError as error:
        assert error.failure.stage is Stage.DECODE


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF"]))
def test_no_bytes_do_more_than_fail(data: bytes, start: bytes) -> None:
    with pytest.raises(UnusablePictureError):
        decode(start + data)


def test_pictures_can_be_decoded_by_many_threads_at_once() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(decode, SEEDS[:-2] * 10):
            assert image.size == (60, 40)
    assert warnings.filters == before

"""Pictures of kinds that once failed: each is read as a browser shows it, or fails by its kind."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from shelfsight.images.decode import (
    DRAFT_RATIO,
    MAX_PIXELS,
    decode,
    decode_picture,
    pixels,
    resized,
)
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import reduced
from shelfsight.images.truncated_jpeg import is_truncated
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import PictureFormat
from tests.cases import picture_files
from tests.cases.icc_profiles import grey_profile, rgb_profile
from tests.cases.picture_files import EACH, saved, scene

FORMAT = PictureFormat(side=64, resample="bicubic")

SMALL = scene(1, (40, 30))
SMALL_PNG = saved(SMALL, "PNG")


def difference(data: bytes, expected: Image.Image) -> float:
    """The mean difference of a file's pixels to a picture, of 255."""
    seen = np.asarray(decode(data), int)
    assert seen.shape[:2] == (expected.height, expected.width)
    return float(np.abs(seen - np.asarray(expected.convert("RGB"), int)).mean())


def kinds_of_failures(files: Iterator[bytes]) -> list[str]:
    kinds = []
    for data in files:
        with pytest.raises(UnusablePictureError) as refused:
            pixels(data, FORMAT)
        kinds.append(refused.value.failure.kind)
    return kinds


@pytest.mark.parametrize("kind", ["wrong_checksums", "malformed_chunks", "large_metadata", "bmps"])
def test_faults_beside_the_picture_do_not_change_it(kind: str) -> None:
    differences = [
        difference(data, scene(seed)) for seed, data in enumerate(picture_files.KINDS[kind]())
    ]
    assert differences == [0.0] * EACH


@given(
    name=st.sampled_from([*picture_files.ANCILLARY, b"iCCP", b"hIST", b"sPLT", b"acTL", b"prVt"]),
    body=st.binary(max_size=40) | st.binary(max_size=9).map(b"Name\0".__add__),
    is_wrong=st.booleans(),
)
def test_no_chunk_beside_the_picture_costs_it(name: bytes, body: bytes, is_wrong: bool) -> None:
    data = picture_files.png_with_chunk(SMALL_PNG, name, body, is_wrong=is_wrong)
    assert difference(data, SMALL) == 0


def test_a_wrong_checksum_of_the_header_stays_a_fault() -> None:
    png = bytearray(saved(scene(1), "PNG"))
    png[29] ^= 1
    assert kinds_of_failures(iter([bytes(png)])) == ["broken_image"]


def test_transparency_and_orientation_outlive_a_fault_of_other_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = scene(1).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 50, 50))
    png = saved(clear, "PNG", exif=exif)
    damaged = picture_files.png_with_chunk(png, b"gAMA", bytes(4), is_wrong=True)
    assert np.array_equal(np.asarray(decode(damaged)), np.asarray(decode(png)))
    assert decode(damaged).size == (180, 240)


@pytest.mark.parametrize("min_side", [None, 60])
def test_a_jpeg_without_its_last_bytes_is_read_and_known_as_truncated(min_side: int | None) -> None:
    for seed, data in enumerate(picture_files.cut_jpegs()):
        assert is_truncated(data)
        mode = ("RGB", "L", "CMYK")[seed % 3]
        whole = saved(scene(seed).convert(mode), "JPEG", **picture_files.CUT_OPTIONS[seed % 5])
        assert not is_truncated(whole)
        expected = np.asarray(decode(whole, min_side=min_side), int)
        seen = np.asarray(decode(data, min_side=min_side), int)
        assert (np.abs(seen - expected).max(axis=-1) > 8).mean() < 0.03


def test_a_jpeg_of_which_more_is_missing_is_broken() -> None:
    assert kinds_of_failures(picture_files.half_jpegs()) == ["broken_image"] * EACH


def test_a_turned_jpeg_is_measured_as_it_is_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(scene(3), "JPEG", exif=exif)
    assert decode(whole[:-40]).size == (180, 240)
    assert kinds_of_failures(iter([whole[: len(whole) * 9 // 10]])) == ["broken_image"]


def test_a_jpeg_with_bytes_behind_its_end_is_not_truncated() -> None:
    assert not is_truncated(saved(scene(1), "JPEG") + b"a film, as phones append it\xff\xda")
    assert not is_truncated(saved(scene(1), "PNG"))


@pytest.mark.parametrize(
    "junk", [b"\xff" * 5_000_000, b"\xff\xe0\0\2" * 1_000_000], ids=["fill", "segments"]
)
def test_looking_for_the_end_of_a_hostile_file_takes_few_steps(junk: bytes) -> None:
    assert is_truncated(b"\xff\xd8\xff\xe0\0\2" + junk)


def test_large_photos_of_phones_are_read_at_a_reduced_size() -> None:
    for seed, data in enumerate(picture_files.large_jpegs()):
        seen = decode(data, min_side=DRAFT_RATIO * FORMAT.side)
        assert seen.width * seen.height <= MAX_PIXELS
        small = np.asarray(seen.resize((24, 18) if seed % 2 else (18, 24), Image.Resampling.BOX))
        mode = "RGB" if seed % 5 == 0 else "L"
        expected = (
            scene(seed)
            .convert(mode)
            .convert("RGB")
            .resize((24, 18) if seed % 2 else (18, 24), Image.Resampling.BOX)
        )
        assert np.abs(small.astype(int) - np.asarray(expected, int)).mean() < 6


def test_a_large_photo_is_read_by_a_decoder_process(decoders: DecoderPool) -> None:
    data = next(picture_files.large_jpegs())
    assert decoders.decode(reduced(FORMAT), data).shape == (1, 64, 64, 3)


def test_a_jpeg_of_more_than_200_megapixels_is_refused_by_its_header() -> None:
    data = bytearray(saved(Image.new("L", (64, 64)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (15_000).to_bytes(2, "big") * 2
    assert kinds_of_failures(iter([bytes(data)])) == ["too_many_pixels"]


def test_a_white_thing_on_nothing_is_seen() -> None:
    for data in picture_files.white_things():
        seen = np.asarray(decode(data))
        assert seen.min() < 140
        assert seen.max() > 245


def test_a_dark_thing_on_nothing_stays_on_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((90, 30, 30, 255), (10, 10, 30, 30))
    assert decode(saved(image, "PNG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["invisible", "all_white"])
def test_a_picture_in_which_nothing_is_seen_is_blank(kind: str) -> None:
    assert kinds_of_failures(picture_files.KINDS[kind]()) == ["blank"] * EACH


def test_a_plain_color_is_not_blank() -> None:
    for data in picture_files.plain_colors():
        assert pixels(data, FORMAT).shape == (64, 64, 3)


def test_avif_and_heic_are_read() -> None:
    assert (
        max(
            difference(data, scene(seed)) for seed, data in enumerate(picture_files.phone_formats())
        )
        < 8
    )


def test_profiles_are_brought_to_srgb() -> None:
    for seed, data in enumerate(picture_files.with_profiles()):
        plain = saved(scene(seed), ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")[seed % 5], quality=95)
        assert difference(data, decode(plain)) > 2, seed


def adobe_in_srgb(color: tuple[int, int, int]) -> list[float]:
    """An Adobe RGB colour in sRGB, by the formulas of both standards."""
    linear = (np.array(color) / 255) ** (563 / 256)
    matrix = [[1.3983, -0.3983, 0], [0, 1, 0], [0, -0.0429, 1.0429]]
    light = np.clip(np.array(matrix) @ linear, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * coded).tolist()


@pytest.mark.parametrize("color", [(180, 120, 80), (60, 90, 140), (128, 128, 128), (255,) * 3])
def test_a_color_of_adobe_rgb_is_that_of_the_standard(color: tuple[int, int, int]) -> None:
    profile = rgb_profile("Adobe RGB", 563 / 256)
    seen = decode(saved(Image.new("RGB", (8, 8), color), "PNG", icc_profile=profile))
    assert np.abs(np.subtract(seen.getpixel((0, 0)), adobe_in_srgb(color))).max() <= 2


def test_a_grey_profile_is_used_for_grey() -> None:
    data = saved(Image.new("L", (8, 8), 128), "PNG", icc_profile=grey_profile(1.0))
    assert decode(data).getpixel((0, 0)) == pytest.approx((188,) * 3, abs=2)


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile", bytes(200), rgb_profile("sRGB")[:300], grey_profile(1.0)],
    ids=["none", "short", "zeros", "cut", "of another mode"],
)
def test_a_profile_that_cannot_be_used_changes_nothing(profile: bytes) -> None:
    data = saved(scene(1), "PNG", icc_profile=profile)
    assert difference(data, scene(1)) == 0


def test_srgb_itself_needs_no_transform() -> None:
    other = rgb_profile("sRGB", 1.8)
    assert decode_picture(saved(scene(1), "PNG", icc_profile=other)).transform is not None
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode_picture(saved(scene(1), "PNG", icc_profile=own)).transform is None


@pytest.mark.parametrize("make", [picture_files.with_profiles])
def test_changing_colors_after_resizing_is_nearly_the_same(make: Callable) -> None:
    for data in make():
        picture = decode_picture(data)
        early = np.asarray(picture.in_srgb().resize((64, 64), Image.Resampling.BICUBIC), int)
        assert np.abs(resized(picture, FORMAT) - early).mean() < 1

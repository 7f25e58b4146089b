"""The views of a photo: the whole, then ever closer to its centre."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.onnx_model import load_image
from shelfsight.fusion import mean_of
from shelfsight.images.decode import decode, opened_picture, pixels
from shelfsight.images.photo_box import PhotoBox
from shelfsight.images.photo_views import photo_views, views
from shelfsight.images.resize import resize
from shelfsight.models.table import EFFICIENTNET_LITE0
from shelfsight.records import PictureFormat, Vector
from tests.cases.picture_files import scene

FORMAT = PictureFormat(side=32, resample="bicubic")


def framed(size: int) -> Image.Image:
    """A white photo whose middle half is black."""
    photo = Image.new("RGB", (size, size), "white")
    photo.paste("black", (size // 4, size // 4, size - size // 4, size - size // 4))
    return photo


@pytest.mark.parametrize("size", [40, 400, 4000])
def test_each_look_is_closer_than_the_one_before(size: int) -> None:
    looks = views(opened_picture(framed(size)), 3, FORMAT)
    assert [photo_views.shape for photo_views in looks] == [(32, 32, 3)] * 3
    shares = [float((photo_views < 128).mean()) for photo_views in looks]
    for share, expected in zip(shares, (0.5**2, (0.5 / 0.8) ** 2, (0.5 / 0.6) ** 2), strict=True):
        assert share == pytest.approx(expected, abs=0.06)


def test_a_single_look_is_the_whole_photo_as_the_model_wants_it() -> None:
    photo = Image.effect_noise((60, 40), 80).convert("RGB")
    (photo_views,) = views(opened_picture(photo), 1, FORMAT)
    assert np.array_equal(photo_views, resize(photo, FORMAT))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_looks_at_any_photo(count: int) -> None:
    for size in ((1, 1), (3, 500), (25, 25)):
        looks = views(opened_picture(Image.new("RGB", size)), count, FORMAT)
        assert [photo_views.shape for photo_views in looks] == [(32, 32, 3)] * count


SHAPED = PictureFormat(side=64, resample="bicubic", keeps_shape=True)


@given(width=st.integers(1, 700), height=st.integers(1, 700), count=st.integers(1, 4))
def test_looks_may_keep_the_shape_of_the_photo(width: int, height: int, count: int) -> None:
    looks = views(opened_picture(Image.new("RGB", (width, height))), count, SHAPED)
    (shape,) = {look.shape[:2] for look in looks}
    assert len(looks) == count
    assert max(shape) == min(64, max(width, height))
    factor = max(shape) / max(width, height)
    assert abs(shape[1] - width * factor) <= 1
    assert abs(shape[0] - height * factor) <= 1


def test_looks_that_keep_the_shape_show_what_the_others_show() -> None:
    photo = scene(3, (900, 500))
    wide, square = (views(opened_picture(photo), 3, form) for form in (SHAPED, FORMAT))
    for one, other in zip(wide, square, strict=True):
        small = np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC), int)
        assert np.abs(small - other).mean() < 4


@pytest.fixture(scope="module")
def model() -> ImageModel:
    """A model in float: one in eight bits adds rounding errors of its own to what is compared."""
    return load_image(EFFICIENTNET_LITE0, None)


@cache
def detailed(width: int, height: int) -> bytes:
    """A JPEG with patches of all sizes, down to the noise of a sensor."""
    rng = np.random.default_rng(width)
    photo = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256):
        patches = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        photo += np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC)) / 4.0
    photo += 8 * rng.standard_normal(photo.shape, np.float32)
    file = BytesIO()
    Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def plain(data: bytes, side: int) -> list[np.ndarray]:
    """Three views of a photo that was decoded at full size, for comparison."""
    photo = decode(data)
    left, top = (np.array([[0.0], [0.1], [0.2]]) * photo.size).round().T
    return [
        np.array(
            photo.resize(
                (side, side),
                Image.Resampling.BICUBIC,
                box=(x, y, photo.width - x, photo.height - y),
            )
        )
        for x, y in zip(left, top, strict=True)
    ]


@pytest.mark.parametrize("size", [(800, 600), (1500, 2000), (4000, 3000)])
def test_a_photo_read_by_short_cuts_has_the_vector_of_one_read_in_full(
    model: ImageModel, size: tuple[int, int]
) -> None:
    data = detailed(*size)

    def vector(photo: list[np.ndarray]) -> Vector:
        found = mean_of(model.embed(photo))
        assert found is not None
        return found

    short = vector(photo_views(data, 3, model.spec.picture))
    assert float(short @ vector(plain(data, model.spec.picture.side))) >= 0.999


@pytest.mark.parametrize("size", [(700, 700), (1344, 1500), (2048, 2048), (4000, 3000)])
def test_a_stored_picture_has_the_vector_of_one_read_in_full(
    model: ImageModel, size: tuple[int, int]
) -> None:
    data, form = detailed(*size), model.spec.picture
    short, full = model.embed([pixels(data, form), resize(decode(data), form)])
    assert isinstance(short, np.ndarray)
    assert isinstance(full, np.ndarray)
    assert float(short @ full) >= 0.999


def test_threads_see_what_one_sees() -> None:
    data = detailed(900, 700)
    with ThreadPoolExecutor(2) as threads:
        by_threads = photo_views(data, 5, FORMAT, threads.map)
    for one, other in zip(by_threads, photo_views(data, 5, FORMAT), strict=True):
        assert np.array_equal(one, other)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    *(st.floats(0, 0.98) for _ in range(2)),
    *(st.floats(0.01, 1) for _ in range(2)),
)
def test_a_box_is_a_part_of_the_photo_and_never_empty(
    size: tuple[int, int], x: float, y: float, width: float, height: float
) -> None:
    box = PhotoBox(x, y, min(width, 1 - x), min(height, 1 - y))
    cut = box.cut(opened_picture(Image.new("RGB", size, "red"))).image
    for length, whole, share in zip(cut.size, size, (box.width, box.height), strict=True):
        assert 1 <= length <= whole
        assert abs(length - share * whole) < 2


def test_the_views_of_a_box_are_those_of_its_part_alone() -> None:
    photo = Image.new("RGB", (800, 400), "white")
    part = framed(400)
    photo.paste(part, (400, 0))
    files = []
    for picture in (photo, part):
        file = BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())
    boxed = photo_views(files[0], 3, FORMAT, box=PhotoBox(0.5, 0, 0.5, 1))
    assert np.array_equal(boxed, photo_views(files[1], 3, FORMAT))

"""A server that resizes pictures itself gets the original files, up to a size."""

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.embedding.remote.remote_embedder import ORIGINAL_PICTURE
from shelfsight.fusion import WeightedMean
from shelfsight.images import picture_maker
from shelfsight.images.decode import decode, decode_picture
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.images.sent_picture import MAX_SENT_BYTES, MAX_SENT_SIDE, sent_file
from shelfsight.models.color_histogram import color_histogram
from shelfsight.records import EmbeddedProduct, ModelPair, Product, Vector, Weights, variant_of
from tests.cases.icc_profiles import rgb_profile
from tests.cases.picture_files import saved, scene
from tests.integration.remote.scripted_server import image_vector, unit

TURNED = Image.Exif()
TURNED[0x0112] = 6

Embed = Callable[[dict[str, bytes]], dict[str, EmbeddedProduct]]


@pytest.fixture
def embed(server, connect, tmp_path: Path, decoders: DecoderPool) -> Iterator[Embed]:
    """Embeds files as a backfill does, on a server that states no picture format."""
    server.health = None
    model = connect(server.url)
    server.requests.clear()
    config = FetchConfig(image_root=tmp_path)
    with (
        closing(PageEmbedder(model, WeightedMean(Weights()))) as pages,
        closing(PictureFetcher(model.picture_format, decoders, config)) as fetcher,
    ):

        def embed(files: dict[str, bytes]) -> dict[str, EmbeddedProduct]:
            for name, file in files.items():
                (tmp_path / name).write_bytes(file)
            page = fetcher.fetch([Product(id=name, image_urls=(name,)) for name in files])
            return {item.product.id: item for item in pages.embed(page)}

        yield embed


def sent(server) -> list[bytes]:
    files = [file for body in server.bodies("/embed/image") for file in body["images"]]
    return [base64.b64decode(file) for file in files]


def by_hand(file: bytes) -> Vector:
    """The vector that the server gives to whoever sends it this file."""
    return unit(image_vector(np.asarray(Image.open(BytesIO(file)).convert("RGB"))))


def test_vectors_are_those_of_the_originals_sent_by_hand(server, embed: Embed) -> None:
    files = {
        "photo.jpg": saved(scene(1, (1600, 900)), "JPEG", quality=85),
        "grey.jpg": saved(scene(2).convert("L"), "JPEG"),
        "progressive.jpg": saved(scene(3), "JPEG", progressive=True),
        "drawing.png": saved(scene(4), "PNG"),
        "indexed.png": saved(scene(5).quantize(16), "PNG"),
        "photo.webp": saved(scene(6, (700, 1900)), "WEBP"),
    }
    found = embed(files)

    assert sorted(sent(server)) == sorted(files.values())
    for name, file in files.items():
        if name not in {"grey.jpg", "indexed.png"}:  # this server reads no such pictures as RGB
            np.testing.assert_allclose(found[name].image, by_hand(file), atol=1e-6)


def test_what_readers_may_show_otherwise_comes_as_an_upright_opaque_jpeg(
    server, embed: Embed
) -> None:
    clear = scene(2).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 90, 90))
    files = {
        "turned.jpg": saved(scene(1), "JPEG", exif=TURNED, quality=95),
        "clear.png": saved(clear, "PNG"),
        "cmyk.jpg": saved(scene(3).convert("CMYK"), "JPEG", quality=95),
        "wide.webp": saved(scene(4), "WEBP", icc_profile=rgb_profile("Display P3", 2.2)),
        "phone.heic": saved(scene(5), "HEIF", quality=90),
        "page.tiff": saved(scene(6), "TIFF"),
        "cut.jpg": saved(scene(7), "JPEG", quality=95)[:-2],
    }
    found = embed(files)

    assert not {*sent(server)} & {*files.values()}
    assert {Image.open(BytesIO(file)).format for file in sent(server)} == {"JPEG"}
    for name, file in files.items():
        expected = unit(image_vector(np.asarray(decode(file))))
        assert float(expected @ found[name].image) > 0.9995, name


def test_large_pictures_keep_their_shape(server, embed: Embed) -> None:
    wide = scene(1, (400, 100)).resize((2600, 650))
    embed({"wide.jpg": saved(wide, "JPEG"), "wide.png": saved(wide, "PNG")})
    assert [Image.open(BytesIO(file)).size for file in sent(server)] == [(2000, 500)] * 2


def test_colours_are_those_of_the_picture(embed: Embed) -> None:
    picture = scene(1, (1600, 400))
    (found,) = embed({"a.png": saved(picture, "PNG")}).values()
    small = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC))
    assert float(found.color @ color_histogram(small)) > 0.999


def test_a_batch_has_no_more_bytes_than_a_request_may_have(server, embed: Embed) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (8, 760, 760, 3), np.uint8)
    large = [saved(Image.fromarray(pixels), "PNG", compress_level=0) for pixels in noise]
    embed({f"{number}.png": file for number, file in enumerate(large)})
    assert {len(body["images"]) for body in server.bodies("/embed/image")} <= {1, 2, 3, 4}
    assert len(sent(server)) == 8


def test_a_page_waits_until_the_files_of_the_page_before_are_sent(
    tmp_path: Path, decoders: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_maker, "SENT_MEMORY", 1)
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(saved(scene(number), "PNG"))
    pages = [[Product(id=f"{n}", image_urls=(f"{n}.png",))] for n in range(3)]
    config = FetchConfig(image_root=tmp_path)
    with (
        closing(PictureFetcher(ORIGINAL_PICTURE, decoders, config)) as fetcher,
        ThreadPoolExecutor(1) as pool,
    ):
        for before, page in pairwise(pages):
            held = fetcher.fetch(before)
            waiting = pool.submit(fetcher.fetch, page)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            assert held[0].pictures
            del held
            assert waiting.result(timeout=30)[0].pictures
            del waiting


def test_a_photo_that_is_searched_for_keeps_its_shape(server, connect) -> None:
    server.health = None
    model = connect(server.url)
    server.requests.clear()
    view = np.asarray(scene(1, (300, 200)))
    (vector,) = model.embed_images([view])
    (file,) = sent(server)
    assert Image.open(BytesIO(file)).size == (300, 200)
    assert float(vector @ unit(image_vector(view))) > 0.9999


@pytest.mark.parametrize(
    ("has_health", "asked", "image"),
    [
        (True, "auto", "pixels@1"),
        (True, "original", "pixels+original@1"),
        (True, "model", "pixels@1"),
        (False, "auto", "pixels+original"),
        (False, "model", "pixels"),
    ],
)
def test_vectors_of_originals_count_as_those_of_another_model(
    server, connect, has_health: bool, asked: str, image: str
) -> None:
    if not has_health:
        server.health = None
    assert connect(server.url, pictures=asked).models.image == image


@given(name=st.text("ab@+", min_size=1, max_size=6), revision=st.sampled_from(["", "@1", "@main"]))
def test_no_identity_accepts_its_variant(name: str, revision: str) -> None:
    identity = name.replace("@", "") + revision
    plain, variant = (
        ModelPair(image=one, text="t@1") for one in (identity, variant_of(identity, "original"))
    )
    assert not plain.accepts(variant)
    assert not variant.accepts(plain)
    assert variant.accepts(variant)


@st.composite
def picture_file(draw: st.DrawFn) -> bytes:
    """A gradient, of any shape, mode, orientation and format."""
    length, breadth = draw(st.integers(1, 2300)), draw(st.integers(1, 90))
    size = (length, breadth) if draw(st.booleans()) else (breadth, length)
    grey = Image.linear_gradient("L").rotate(draw(st.integers(0, 99))).resize(size)
    mode = draw(st.sampled_from(["RGB", "L", "P", "RGBA", "LA", "CMYK", "1"]))
    exif = Image.Exif()
    exif[0x0112] = draw(st.sampled_from([1, 3, 6, 8]))
    formats = {"CMYK": ["JPEG", "TIFF"], "LA": ["PNG", "TIFF"], "L": ["JPEG", "PNG", "TIFF"]}
    name = draw(st.sampled_from(formats.get(mode, ["PNG", "TIFF", "GIF", "BMP"])))
    if mode in {"RGB", "RGBA"} and draw(st.booleans()):
        name = "WEBP"
    return saved(Image.merge("RGB", (grey, grey, grey)).convert(mode), name, exif=exif)


@settings(max_examples=60)
@given(data=picture_file())
def test_whoever_reads_what_is_sent_sees_what_we_see(data: bytes) -> None:
    picture = decode_picture(data)
    file = sent_file(data, picture)

    read = Image.open(BytesIO(file))
    assert len(file) <= MAX_SENT_BYTES
    assert max(read.size) == min(MAX_SENT_SIDE, max(picture.image.size))
    assert read.format in {"JPEG", "PNG", "WEBP"}
    expected = picture.image.resize(read.size, Image.Resampling.BICUBIC)
    difference = np.abs(np.asarray(read.convert("RGB"), int) - np.asarray(expected, int))
    assert difference.mean() < 6


def test_even_noise_is_sent_in_two_megabytes() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1900, 2100, 3), np.uint8)
    data = saved(Image.fromarray(noise), "PNG", compress_level=0)
    file = sent_file(data, decode_picture(data))
    assert len(file) <= MAX_SENT_BYTES
    width, height = Image.open(BytesIO(file)).size
    assert width / height == pytest.approx(2100 / 1900, abs=0.01)

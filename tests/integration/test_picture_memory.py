"""Memory per picture: pixels are freed once their page is embedded, or refused."""

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.ports import Advanced, ignore
from shelfsight.records import (
    Failure,
    PictureFormat,
    Pixels,
    Product,
    Stage,
    Vector,
    Weights,
)
from shelfsight.testing import HashEmbedder
from tests.integration.scan_server import until

PAGE = 30
PAGES = 6
FORMAT = PictureFormat(side=224, resample="bicubic")
PIXELS = 224 * 224 * 3
REFUSED = Failure(stage=Stage.IMAGE, kind="server_422", message="unsupported")


class RefusingEmbedder(HashEmbedder):
    def embed_images(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        self.images_embedded += len(pictures)
        advanced(len(pictures))
        return [REFUSED] * len(pictures)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(PAGE * PAGES):
        Image.new("RGB", (4, 4), (number, 255 - number, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("make", [RefusingEmbedder, HashEmbedder])
def test_no_picture_leaves_its_pixels_whether_it_is_refused_or_embedded(
    folder: Path, make: Callable[[], HashEmbedder], decoders: DecoderPool
) -> None:
    embedder = make()
    with closing(PageEmbedder(embedder, WeightedMean(Weights()))) as pages:
        config = FetchConfig(image_root=folder, known_picture=pages.known_picture)
        with closing(PictureFetcher(FORMAT, decoders, config)) as fetcher:

            def embed(number: int) -> None:
                pages.embed(fetcher.fetch(page(number)))

            embed(0)
            before = traced(start=True)
            for number in range(1, PAGES):
                embed(number)

            def left() -> float:
                return (traced() - before) / (PAGE * (PAGES - 1))

            until(lambda: left() < PIXELS / 10)  # the fetcher's thread lets go of the last page
            tracemalloc.stop()
            embed(0)
    assert embedder.images_embedded == PAGE * PAGES


def page(number: int) -> list[Product]:
    names = (str(number * PAGE + n) for n in range(PAGE))
    return [Product(id=name, image_urls=(f"{name}.png",)) for name in names]


def traced(*, start: bool = False) -> int:
    """Bytes that Python and numpy have allocated since the start and still hold."""
    if start:
        tracemalloc.start()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

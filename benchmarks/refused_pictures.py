"""What pictures leave in memory: the resident size before and after as many as a long run meets.

Each picture is a file of its own, is fetched, and is refused by the model, or embedded at once:

    python benchmarks/refused_pictures.py [--pictures 6000] [--embedded]
"""

import argparse
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.ports import Advanced, ignore
from shelfsight.records import Failure, ModelPicture, PictureFormat, Product, Stage, Vector, Weights
from shelfsight.testing import HashEmbedder

PAGE = 50
FORMAT = PictureFormat(side=224, resample="bicubic")
REFUSED = Failure(stage=Stage.IMAGE, kind="server_422", message="unsupported")


class RefusingEmbedder(HashEmbedder):
    """Answers every picture as a server does that answers 422."""

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        advanced(len(pictures))
        return [REFUSED] * len(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pictures", type=int, default=6_000)
    parser.add_argument("--embedded", action="store_true")
    arguments = parser.parse_args()
    embedder = HashEmbedder() if arguments.embedded else RefusingEmbedder()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as folder:
        draw(Path(folder), arguments.pictures)
        measure(Path(folder), arguments.pictures, embedder)


def draw(folder: Path, count: int) -> None:
    """JPEGs of 250 x 250 pixels, no two alike."""
    random = np.random.default_rng(7)
    for number in range(count):
        noise = random.integers(0, 256, (4, 4, 3), np.uint8)
        image = Image.fromarray(noise).resize((250, 250), Image.Resampling.BICUBIC)
        image.save(folder / f"{number}.jpg")


def measure(folder: Path, count: int, embedder: HashEmbedder) -> None:
    with closing(PageEmbedder(embedder, WeightedMean(Weights()))) as pages:
        config = FetchConfig(image_root=folder, known_picture=pages.known_picture)
        with (
            closing(DecoderPool()) as decoders,
            closing(PictureFetcher(FORMAT, decoders, config)) as fetcher,
        ):
            names = [f"{number}.jpg" for number in range(count)]
            before, began = resident(), time.perf_counter()
            for start in range(0, count, PAGE):
                page = [Product(id=url, image_urls=(url,)) for url in names[start : start + PAGE]]
                pages.embed(fetcher.fetch(page))
            seconds, held = time.perf_counter() - began, resident() - before
    print(
        f"{count} pictures, {type(embedder).__name__}: {held / 1e6:+.1f} MB held,"
        f" {held / count / 1e3:.1f} kB a picture, {count / seconds:.0f} pictures/s"
    )


def resident() -> int:
    """Resident bytes of this process; Linux only."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024


if __name__ == "__main__":
    main()

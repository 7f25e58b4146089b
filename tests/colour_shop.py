"""A small shop of striped pictures, and models that see their colours."""

from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.models.color_histogram import color_histogram
from shelfsight.postgres.connection import Database
from shelfsight.records import EmbeddedProduct, ModelPair, PictureFile, PictureFormat, Product
from shelfsight.settings import Settings, load
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import HashEmbedder
from tests.shop import FUSION, fill

MODELS = ModelPair(image="colours@1", text="hashed-words@1")


class ColourEmbedder(HashEmbedder):
    """Embeds a picture as its 16 x 16 colours, so that photos of a picture are like it."""

    def __init__(self) -> None:
        super().__init__(models=MODELS)
        self.picture_format = PictureFormat(side=16, resample="bilinear")

    def embed_images(self, pictures, **_options):
        vectors = [pixels.astype(np.float32).ravel() - 127.4 for pixels in pictures]
        return [vector / np.linalg.norm(vector) for vector in vectors]


def colour_shop(database: Database, folder: Path, count: int) -> Settings:
    """Embed `count` products with a picture of coloured stripes each."""
    fill(database, count)
    chance, embedder = np.random.default_rng(3), ColourEmbedder()
    page = []
    for number in range(1, count + 1):
        colours = chance.integers(0, 256, (3, 1, 3), dtype=np.uint8)
        stripes = Image.fromarray(colours).resize((64, 64), Image.Resampling.NEAREST)
        stripes.save(folder / f"{number}.png")
        pixels = np.asarray(stripes.resize((16, 16)))
        (image,) = embedder.embed_images([pixels])
        title = f"red striped shirt number {number:03}"
        (text,) = embedder.embed_texts([title])
        id_ = f"00000000-0000-0000-0000-{number:012x}"
        page.append(
            EmbeddedProduct(
                product=Product(id=id_, title=title, source_hash="a:b"),
                image=image,
                text=text,
                combined=FUSION.combine(image, text),
                color=color_histogram(pixels),
                text_used=title,
                picture=PictureFile(url=f"{number}.png", content_hash=str(number)),
            )
        )
    PostgresVectorStore(database, FUSION).save(page, MODELS)
    return load({"database_url": database.url, "image_root": str(folder)})

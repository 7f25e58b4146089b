"""The functions that all compared systems share: models, decoding, text and fusion.

The systems differ only in how they call them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.text import product_text
from shelfsight.fusion import combine
from shelfsight.images import decode, resize
from shelfsight.models.table import PAIRS
from shelfsight.records import Failure, Pixels, Vector, Weights

PICTURE = PAIRS["lite"].image.picture
SIDE = PICTURE.side
IMAGE_WIDTH, TEXT_WIDTH = 768, 1024
SOURCES = ("first_product", "one_product", "all_products")
"""Flat tables, as in the systems' own examples: id, title, description, image_url."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """Command-line arguments; `folder` is for files that a system stores outside the database."""

    module: str
    database: str
    folder: Path


@cache
def arguments() -> Arguments:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--database", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return Arguments(**vars(parser.parse_args()))


class Models:
    """The pair of lite models."""

    def __init__(self) -> None:
        self._pair = open_pair("lite", model_dir=None)

    def images(self, pictures: Sequence[Pixels]) -> list[Vector]:
        """Return unit vectors of shape (768,) of pictures of shape (224, 224, 3)."""
        return require_vectors(self._pair.embed_images(pictures))

    def texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return unit vectors of shape (1024,)."""
        return require_vectors(self._pair.embed_texts(texts))


@cache
def models() -> Models:
    """Return the models, loaded once per process."""
    return Models()


def pixels(data: bytes) -> Pixels:
    """Decode and resize a picture file: uint8, shape (224, 224, 3)."""
    return decode.pixels(data, PICTURE)


def resized(picture: Image.Image) -> Pixels:
    """Resize an RGB picture to the model's size."""
    return resize.resize(picture, PICTURE)


def text_of(title: str, description: str) -> str:
    """Return the text that is embedded for a product."""
    return product_text(title, description)


def combined(image: Vector, text: Vector) -> Vector:
    """Return the combined vector, shape (768,)."""
    return require_vectors([combine(image, text, Weights())])[0]


def require_vectors(results: Sequence[Vector | Failure | None]) -> list[Vector]:
    """Return the vectors.

    Raises:
        RuntimeError: one of them is missing.
    """
    vectors = [result for result in results if isinstance(result, np.ndarray)]
    if len(vectors) < len(results):
        raise RuntimeError(f"not all were embedded: {results}")
    return vectors


def create_table(name: str) -> str:
    """Return the SQL that creates a vector table, for systems that do not create their own."""
    return (
        f"CREATE TABLE {name} (id text PRIMARY KEY, image vector({IMAGE_WIDTH}),"
        f" text vector({TEXT_WIDTH}), combined vector({IMAGE_WIDTH}))"
    )

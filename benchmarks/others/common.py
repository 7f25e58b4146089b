"""What all do alike, by the same functions: only who calls them, and when, differs."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.model_specs import PAIRS
from shelfsight.embedding.text import product_text
from shelfsight.fusion import combine
from shelfsight.images import decode, resize
from shelfsight.records import Failure, Pixels, Vector, Weights

PICTURE = PAIRS["lite"][0].picture
SIDE = PICTURE.side
IMAGE_WIDTH, TEXT_WIDTH = 768, 1024
SOURCES = ("first_product", "one_product", "all_products")
"""Flat tables, as the systems' own examples have them: id, title, description, image_url."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """`folder` is for whatever a system keeps beside the database."""

    module: str
    database: str
    folder: Path


@cache
def arguments() -> Arguments:
    """What the program was called with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--database", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return Arguments(**vars(parser.parse_args()))


class Models:
    """The lite pair, loaded once in a process."""

    def __init__(self) -> None:
        self._pair = open_pair("lite", model_dir=None)

    def images(self, pictures: Sequence[Pixels]) -> list[Vector]:
        """Unit vectors (768,) of pictures (224, 224, 3)."""
        return made(self._pair.embed_images(pictures))

    def texts(self, texts: Sequence[str]) -> list[Vector]:
        """Unit vectors (1024,)."""
        return made(self._pair.embed_texts(texts))


@cache
def models() -> Models:
    """The models of this process."""
    return Models()


def pixels(data: bytes) -> Pixels:
    """A file, decoded and resized: uint8 (224, 224, 3)."""
    return decode.pixels(data, PICTURE)


def resized(picture: Image.Image) -> Pixels:
    """An RGB picture, resized."""
    return resize.resize(picture, PICTURE)


def text_of(title: str, description: str) -> str:
    """What is embedded of a product's words."""
    return product_text(title, description)


def combined(image: Vector, text: Vector) -> Vector:
    """The third vector, (768,)."""
    return made([combine(image, text, Weights())])[0]


def made(results: Sequence[Vector | Failure | None]) -> list[Vector]:
    """The vectors; none may be missing."""
    vectors = [result for result in results if isinstance(result, np.ndarray)]
    if len(vectors) < len(results):
        raise RuntimeError(f"not all were embedded: {results}")
    return vectors


def create_table(name: str) -> str:
    """SQL of a table for the vectors, for systems that do not make their own."""
    return (
        f"CREATE TABLE {name} (id text PRIMARY KEY, image vector({IMAGE_WIDTH}),"
        f" text vector({TEXT_WIDTH}), combined vector({IMAGE_WIDTH}))"
    )

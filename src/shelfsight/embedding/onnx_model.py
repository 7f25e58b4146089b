"""The two models of a pair in this process, by ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from shelfsight.embedding import lite_graphs, lite_weights
from shelfsight.embedding.hub import model_folder
from shelfsight.embedding.image_model import ImageModel
from shelfsight.embedding.models import PAIRS, ImageSpec, TextSpec
from shelfsight.embedding.text_model import TextModel
from shelfsight.errors import ModelError
from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector


class OnnxEmbedder:
    """Implements `seams.Embedder`; pictures and texts may be embedded at the same time."""

    def __init__(self, image: ImageModel, text: TextModel) -> None:
        self._image = image
        self._text = text

    @property
    def models(self) -> ModelPair:
        """Which models these are."""
        image, text = self._image.spec, self._text.spec
        return ModelPair(
            image=f"{image.name}@{image.revision}", text=f"{text.name}@{text.revision}"
        )

    @property
    def picture_format(self) -> PictureFormat:
        """What `embed_images` takes."""
        return self._image.spec.picture

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Unit vectors (768,) of pictures of shape (side, side, 3)."""
        return self._image.embed(pictures)

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Unit vectors (1024,) of texts; `query` says they ask rather than describe."""
        return self._text.embed(texts, query=query)

    def close(self) -> None:
        """Nothing is held but memory."""


def open_pair(name: str, *, model_dir: Path | None) -> OnnxEmbedder:
    """Load one of `models.PAIRS`.

    `model_dir` holds a folder for each model, called by its name, with the files of its
    repository; without it the hub's cache is used, then the hub. The lite pair needs neither.

    Raises:
        ModelError: files are missing or cannot be fetched, or a model is not what its row says.

    """
    image, text = PAIRS[name]
    return OnnxEmbedder(load_image(image, model_dir), load_text(text, model_dir))


def load_image(spec: ImageSpec, model_dir: Path | None) -> ImageModel:
    """Load one image model; see `open_pair`."""
    if spec.hub is None:
        return ImageModel(spec, lite_graphs.efficientnet_lite0())
    return ImageModel(spec, model_folder(spec, spec.hub, model_dir) / spec.hub.graph)


def load_text(spec: TextSpec, model_dir: Path | None) -> TextModel:
    """Load one text model; see `open_pair`."""
    if spec.hub is None:
        content = lite_weights.read_packaged(lite_weights.WORDLLAMA_TOKENIZER)
        return TextModel(spec, lite_graphs.wordllama(), Tokenizer.from_buffer(content))
    folder = model_folder(spec, spec.hub, model_dir)
    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ModelError(f"{spec.name} cannot be loaded: {path}: {error}") from None
    return TextModel(spec, folder / spec.hub.graph, tokenizer)

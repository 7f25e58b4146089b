"""The two models of a pair in this process, whichever backend runs them."""

from collections.abc import Sequence

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector


class LocalEmbedder:
    """Implements `seams.Embedder`; pictures and texts may be embedded at the same time."""

    def __init__(self, image: ImageModel, text: TextModel) -> None:
        self.image = image
        self.text = text

    @property
    def models(self) -> ModelPair:
        """Which models these are."""
        return ModelPair(image=self.image.spec.identity, text=self.text.spec.identity)

    @property
    def picture_format(self) -> PictureFormat:
        """What `embed_images` takes."""
        return self.image.spec.picture

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Unit vectors (768,) of pictures of shape (side, side, 3)."""
        return self.image.embed(pictures)

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Unit vectors (1024,) of texts; `query` says they ask rather than describe."""
        return self.text.embed(texts, query=query)

    def close(self) -> None:
        """Nothing is held but memory."""

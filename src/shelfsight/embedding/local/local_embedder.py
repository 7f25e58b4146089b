"""The `Embedder` that runs the image model and the text model in this process."""

from collections.abc import Sequence

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.ports import Advanced, ignore
from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector


class LocalEmbedder:
    """Implements `ports.Embedder`. Pictures and texts may be embedded at the same time."""

    def __init__(self, image: ImageModel, text: TextModel) -> None:
        self.image = image
        self.text = text

    @property
    def models(self) -> ModelPair:
        """The identities of the models."""
        return ModelPair(image=self.image.spec.identity, text=self.text.spec.identity)

    @property
    def picture_format(self) -> PictureFormat:
        """The size and the filter with which pictures are resized before `embed_images`."""
        return self.image.spec.picture

    def embed_images(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed pictures of shape (side, side, 3) to unit vectors (768,)."""
        return self.image.embed(pictures, advanced=advanced)

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed texts as unit vectors (1024,). `query` is True for texts that are searched for."""
        return self.text.embed(texts, query=query, advanced=advanced)

    def close(self) -> None:
        """Do nothing, because the models hold only memory."""

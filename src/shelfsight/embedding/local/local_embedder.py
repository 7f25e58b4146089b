"""The `Embedder` that runs the image model and the text model in this process."""

from collections.abc import Callable, Sequence
from threading import Lock

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.ports import Advanced, ignore
from shelfsight.records import Failure, ModelPair, ModelPicture, PictureFormat, Vector, pixels_of


class LocalEmbedder:
    """Implements `ports.Embedder`. Pictures and texts may be embedded at the same time.

    `load_text` loads the text model, of which `text_identity` is known before: it is called when
    the first text is embedded, because many scans have none.
    """

    def __init__(
        self, image: ImageModel, text_identity: str, load_text: Callable[[], TextModel]
    ) -> None:
        self.image = image
        self._text_identity = text_identity
        self._load_text = load_text
        self._text: TextModel | None = None
        self._loading = Lock()

    @property
    def text(self) -> TextModel:
        """The text model.

        Raises:
            ModelError: it cannot be loaded.
        """
        with self._loading:
            if self._text is None:
                self._text = self._load_text()
            return self._text

    @property
    def models(self) -> ModelPair:
        """The identities of the models."""
        return ModelPair(image=self.image.spec.identity, text=self._text_identity)

    @property
    def picture_format(self) -> PictureFormat:
        """The size and the filter with which pictures are resized before `embed_images`."""
        return self.image.spec.picture

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed pictures of shape (side, side, 3) to unit vectors (768,)."""
        return self.image.embed([pixels_of(one) for one in pictures], advanced=advanced)

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed texts as unit vectors (1024,). `query` is True for texts that are searched for."""
        return self.text.embed(texts, query=query, advanced=advanced)

    def close(self) -> None:
        """Do nothing, because the models hold only memory."""

"""Who embeds: models in this process, or an embedding server."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from shelfsight.seams import Embedder, Fusion
from shelfsight.settings import Settings, without_password

Say = Callable[[str], None]


def models_name(settings: Settings) -> str:
    """Who embeds, for people."""
    if settings.embedding_server_url is not None:
        return without_password(settings.embedding_server_url)
    return f"models in this process ({settings.models})"


@contextmanager
def open_embedder(settings: Settings, say: Say) -> Iterator[Embedder]:
    """The two models, in this process or behind an embedding server; `say` hears of waits.

    Raises:
        ModelError: they cannot be loaded.
        ServerError: the server cannot be used.
    """
    with closing(_embedder(settings, say)) as embedder:
        yield embedder


def _embedder(settings: Settings, say: Say) -> Embedder:
    if settings.embedding_server_url is not None:
        from shelfsight.embedding.remote_model import RemoteEmbedder, ServerConfig

        key = settings.embedding_server_api_key
        return RemoteEmbedder(
            ServerConfig(
                url=settings.embedding_server_url,
                api_key=None if key is None else key.get_secret_value(),
                cold_start_timeout=settings.cold_start_timeout,
                waiting=say,
            )
        )
    from shelfsight.embedding.onnx_model import open_pair

    return open_pair(settings.models, model_dir=settings.model_dir)


def files_to_download(settings: Settings) -> list[str]:
    """The models' files that a run would download first; none with a server or a folder."""
    from shelfsight.embedding.hub import files_to_download
    from shelfsight.embedding.models import PAIRS

    if settings.embedding_server_url is not None or settings.model_dir is not None:
        return []
    return [file for spec in PAIRS[settings.models] for file in files_to_download(spec)]


def fusion(settings: Settings) -> Fusion:
    """How image and text become one vector."""
    from shelfsight.embedding.fusion import WeightedMean

    return WeightedMean(settings.weights)

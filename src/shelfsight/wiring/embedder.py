"""Opens the embedder: with models in this process, or with an embedding server."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shelfsight.embedding.local.loading import silent
from shelfsight.errors import ModelError, install_command
from shelfsight.ports import Embedder, Fusion
from shelfsight.settings import Settings, without_password

if TYPE_CHECKING:
    from shelfsight.embedding.local.image_model import ImageModel
    from shelfsight.embedding.local.loading import Loading
    from shelfsight.embedding.local.local_embedder import LocalEmbedder
    from shelfsight.embedding.local.weights_memory import WeightsInMemory
    from shelfsight.models.specs import Device, ImageSpec, ModelSpec

Notify = Callable[[str], None]


def models_name(settings: Settings) -> str:
    """Return a name of the embedder for people."""
    if settings.embedding_server_url is not None:
        return without_password(settings.embedding_server_url)
    chosen = (settings.chosen_models, settings.backend, settings.device)
    told = ", ".join(word for word in chosen if word not in {"onnx", "cpu"})
    return f"models in this process ({told})"


@contextmanager
def open_embedder(
    settings: Settings, notify: Notify, *, for_scans: bool = False
) -> Iterator[Embedder]:
    """Open the two models, here or on an embedding server; `notify` is told when that takes long.

    `for_scans` loads the text model only when it is first used.

    Raises:
        ModelError: the models cannot be loaded.
        ServerError: the embedding server cannot be used.
    """
    with closing(_embedder(settings, notify, for_scans=for_scans)) as embedder:
        yield embedder


def _embedder(settings: Settings, notify: Notify, *, for_scans: bool) -> Embedder:
    if settings.embedding_server_url is None:
        return open_models(settings, notify, for_scans=for_scans)
    from shelfsight.embedding.remote.config import ServerConfig
    from shelfsight.embedding.remote.remote_embedder import RemoteEmbedder
    from shelfsight.embedding.remote.services.table import service_of

    key = settings.embedding_server_api_key
    config = ServerConfig(
        url=settings.embedding_server_url,
        api_key=None if key is None else key.get_secret_value(),
        cold_start_timeout=settings.cold_start_timeout,
        down_timeout=settings.server_down_timeout,
        concurrency=settings.server_concurrency,
        text_model=settings.embedding_server_text_model,
        image_model=settings.embedding_server_image_model,
        service=service_of(settings.embedding_server_api, settings.embedding_server_url),
        pictures=settings.embedding_server_pictures,
        waiting=notify,
    )
    return RemoteEmbedder(config, partial(_open_image_model, settings, notify))


def open_models(
    settings: Settings, notify: Notify = silent, *, for_scans: bool = False
) -> "LocalEmbedder":
    """Load the two models into this process. The arguments are those of `open_embedder`.

    Raises:
        ModelError: the models cannot be loaded, the device is not supported, or the backend is not
            installed.
    """
    from shelfsight.embedding.local.loading import Loading

    backend = _backend(settings)
    return backend.open_pair(
        settings.chosen_models,
        model_dir=settings.model_dir,
        device=settings.device,
        threads=settings.model_threads,
        loading=Loading(for_scans=for_scans, notify=notify),
    )


def _open_image_model(settings: Settings, notify: Notify) -> "ImageModel":
    """Load only the image model, for use with a server that embeds only texts."""
    from shelfsight.embedding.local.loading import Loading
    from shelfsight.models.choice import pair_of

    image = pair_of(settings.chosen_models).image
    notify(
        f"the embedding server embeds only the texts; pictures are embedded here, by {image.name}"
    )
    return _backend(settings).load_image(
        image,
        settings.model_dir,
        settings.device,
        settings.model_threads,
        Loading(notify=notify),
    )


class _Backend(Protocol):
    """The interface of a module that loads models, such as the one for ONNX Runtime."""

    def open_pair(
        self,
        name: str,
        *,
        model_dir: Path | None,
        device: "Device",
        threads: int,
        loading: "Loading",
    ) -> "LocalEmbedder": ...

    def load_image(
        self,
        spec: "ImageSpec",
        model_dir: Path | None,
        device: "Device",
        threads: int,
        loading: "Loading",
    ) -> "ImageModel": ...


def _backend(settings: Settings) -> _Backend:
    if settings.backend == "onnx":
        from shelfsight.embedding.local import onnx_model

        return onnx_model
    try:
        from shelfsight.embedding.local import torch_model
    except ModuleNotFoundError as error:
        raise ModelError(
            f"BACKEND=torch: {error.name} is not installed; {install_command('torch')}"
        ) from None
    return torch_model


def files_to_download(settings: Settings) -> list[str]:
    """Return the model files that a run would download first.

    The list is empty with an embedding server, or if the models are in a local folder.

    Raises:
        ModelError: the backend does not run these models.
    """
    from shelfsight.embedding.local.hub import files_to_download

    if settings.embedding_server_url is not None or settings.model_dir is not None:
        return []
    return [name for spec in _specs(settings) for name in files_to_download(spec)]


def check_model_files(settings: Settings) -> None:
    """Read the files of the models in this process, and check that they are whole.

    Raises:
        ModelError: a file is broken, or the backend does not run these models.
    """
    from shelfsight.embedding.local.hub import check_files

    if settings.embedding_server_url is None:
        for spec in _specs(settings):
            check_files(spec, settings.model_dir)


def has_large_models(settings: Settings) -> bool:
    """Return whether models in this process are so large that a product may exhaust the memory."""
    from shelfsight.models.specs import PackagedModel

    if settings.embedding_server_url is not None:
        return False
    return not all(isinstance(spec.source, PackagedModel) for spec in _specs(settings))


def weights_in_memory(settings: Settings) -> "WeightsInMemory | None":
    """Return whether the weights of the models have room in memory, and how much there is.

    None is returned if they are small, not there yet, or not run by ONNX Runtime on a CPU here.
    """
    from shelfsight.embedding.local.hub import graph_file
    from shelfsight.embedding.local.weights_memory import weights_in_memory as measure

    is_here = settings.embedding_server_url is None
    if not is_here or (settings.backend, settings.device) != ("onnx", "cpu"):
        return None
    found = [graph_file(spec, settings.model_dir) for spec in _specs(settings)]
    graphs = [graph for graph in found if graph is not None]
    return measure(graphs) if graphs else None


def _specs(settings: Settings) -> "Iterable[ModelSpec]":
    """Return the rows of the image model and of the text model, as the backend reads them."""
    from shelfsight.models.choice import pair_of
    from shelfsight.models.specs import for_torch

    pair = pair_of(settings.chosen_models)
    if settings.backend == "torch":
        return for_torch(pair.image), for_torch(pair.text)
    return pair.image, pair.text


def fusion(settings: Settings) -> Fusion:
    """Return the fusion of image and text vectors, with the weights from the settings."""
    from shelfsight.fusion import WeightedMean

    return WeightedMean(settings.weights)

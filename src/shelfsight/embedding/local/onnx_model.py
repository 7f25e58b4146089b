"""Loads the models of `models.table` with ONNX Runtime."""

from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from shelfsight.embedding.local import lite_weights
from shelfsight.embedding.local.graph_cache import built_graph
from shelfsight.embedding.local.hub import model_folder, with_revision_of_files
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.loading import AT_ONCE, Loading
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.session import Execution, Session
from shelfsight.embedding.local.text_model import TextModel, read_tokenizer
from shelfsight.embedding.local.weights_memory import has_room_for, weights_of
from shelfsight.errors import ModelError
from shelfsight.models.choice import pair_of
from shelfsight.models.specs import Device, ImageSpec, ModelSpec, PackagedModel, TextSpec


def open_pair(
    name: str,
    *,
    model_dir: Path | None,
    device: Device = "cpu",
    threads: int = 0,
    loading: Loading = AT_ONCE,
) -> LocalEmbedder:
    """Load a pair of models by what `MODELS` calls it.

    `model_dir` has a folder for each model, named after the model, with the files of its
    repository. Without `model_dir` the files come from the hub's cache; if they are missing there,
    they are downloaded. The lite pair needs neither. On the CPU each model computes with `threads`
    threads; 0 means one per core.

    Raises:
        ModelError: files are missing or cannot be downloaded, a model does not match its row, or
            it cannot run on `device`.

    """
    pair = pair_of(name)
    image = load_image(pair.image, model_dir, device, threads, loading)
    text = _FoundText(pair.text, model_dir)
    if loading.for_scans:
        load = partial(text.load, device, threads, loading)
        return LocalEmbedder(image, text.spec.identity, load)
    loaded = text.load(device, threads, loading)
    return LocalEmbedder(image, text.spec.identity, lambda: loaded)


def load_image(
    spec: ImageSpec,
    model_dir: Path | None,
    device: Device = "cpu",
    threads: int = 0,
    loading: Loading = AT_ONCE,
) -> ImageModel:
    """Load an image model. The arguments and errors are those of `open_pair`."""
    if isinstance(spec.source, PackagedModel):
        session = _open(
            built_graph(spec.source.builder), spec, Execution(device=device, threads=threads)
        )
        return ImageModel(spec, session)
    folder = model_folder(spec, spec.source, model_dir)
    graph = folder / spec.source.graph
    spec = with_revision_of_files(spec, spec.source, folder, model_dir)
    loading.notify(_loads(spec, graph))
    low_memory = loading.for_scans or not has_room_for(graph)
    execution = Execution(device=device, threads=threads, low_memory=low_memory)
    return ImageModel(spec, _open(graph, spec, execution))


def load_text(
    spec: TextSpec, model_dir: Path | None, device: Device = "cpu", threads: int = 0
) -> TextModel:
    """Load a text model. The arguments and errors are those of `open_pair`."""
    return _FoundText(spec, model_dir).load(device, threads, AT_ONCE)


class _FoundText:
    """A text model whose files were found, or downloaded. Its `spec` names their revision."""

    def __init__(self, spec: TextSpec, model_dir: Path | None) -> None:
        self.spec = spec
        self._folder = Path()
        if not isinstance(spec.source, PackagedModel):
            self._folder = model_folder(spec, spec.source, model_dir)
            self.spec = with_revision_of_files(spec, spec.source, self._folder, model_dir)

    def load(self, device: Device, threads: int, loading: Loading) -> TextModel:
        """Load the model."""
        source = self.spec.source
        if isinstance(source, PackagedModel):
            execution = Execution(device=device, threads=threads)
            session = _open(built_graph(source.builder), self.spec, execution)
            return TextModel(self.spec, session, _packaged_tokenizer(self.spec, source))
        graph = self._folder / source.graph
        loading.notify(_loads(self.spec, graph))
        low_memory = loading.for_scans or not has_room_for(graph)
        execution = Execution(device=device, threads=threads, low_memory=low_memory)
        session = _open(graph, self.spec, execution)
        return TextModel(self.spec, session, read_tokenizer(self.spec, self._folder))


def _open(graph: bytes | Path, spec: ModelSpec, execution: Execution) -> Session:
    return Session(graph, name=spec.name, output=spec.output, execution=execution)


def _loads(spec: ModelSpec, graph: Path) -> str:
    size = weights_of(graph)
    return (
        f"loading {spec.name} ({f'{size / 1e6:.0f} MB' if size < 1e9 else f'{size / 1e9:.1f} GB'})"
    )


def _packaged_tokenizer(spec: TextSpec, model: PackagedModel) -> Tokenizer:
    if model.tokenizer is None:
        raise ModelError(f"{spec.name}: its row names no tokenizer")
    return Tokenizer.from_buffer(lite_weights.read_packaged(model.tokenizer))

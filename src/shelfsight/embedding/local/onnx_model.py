"""Loads the models of `models.table` with ONNX Runtime."""

from pathlib import Path

from tokenizers import Tokenizer

from shelfsight.embedding.local import lite_weights
from shelfsight.embedding.local.graph_cache import built_graph
from shelfsight.embedding.local.hub import model_folder, with_revision_of_files
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.session import Session
from shelfsight.embedding.local.text_model import TextModel, read_tokenizer
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device, ImageSpec, PackagedModel, TextSpec
from shelfsight.models.table import PAIRS


def open_pair(
    name: str, *, model_dir: Path | None, device: Device = "cpu", threads: int = 0
) -> LocalEmbedder:
    """Load a pair of `table.PAIRS` by its name.

    `model_dir` has a folder for each model, named after the model, with the files of its
    repository. Without `model_dir` the files come from the hub's cache; if they are missing there,
    they are downloaded. The lite pair needs neither. On the CPU each model computes with `threads`
    threads; 0 means one per core.

    Raises:
        ModelError: files are missing or cannot be downloaded, a model does not match its row, or
            it cannot run on `device`.

    """
    pair = PAIRS[name]
    return LocalEmbedder(
        load_image(pair.image, model_dir, device, threads),
        load_text(pair.text, model_dir, device, threads),
    )


def load_image(
    spec: ImageSpec, model_dir: Path | None, device: Device = "cpu", threads: int = 0
) -> ImageModel:
    """Load an image model. The arguments and errors are those of `open_pair`."""
    graph: bytes | Path
    if isinstance(spec.source, PackagedModel):
        graph = built_graph(spec.source.builder)
    else:
        folder = model_folder(spec, spec.source, model_dir)
        graph = folder / spec.source.graph
        spec = with_revision_of_files(spec, spec.source, folder, model_dir)
    session = Session(graph, name=spec.name, output=spec.output, device=device, threads=threads)
    return ImageModel(spec, session)


def load_text(
    spec: TextSpec, model_dir: Path | None, device: Device = "cpu", threads: int = 0
) -> TextModel:
    """Load a text model. The arguments and errors are those of `open_pair`."""
    graph: bytes | Path
    if isinstance(spec.source, PackagedModel):
        graph, tokenizer = built_graph(spec.source.builder), _packaged_tokenizer(spec, spec.source)
    else:
        folder = model_folder(spec, spec.source, model_dir)
        graph, tokenizer = folder / spec.source.graph, read_tokenizer(spec, folder)
        spec = with_revision_of_files(spec, spec.source, folder, model_dir)
    session = Session(graph, name=spec.name, output=spec.output, device=device, threads=threads)
    return TextModel(spec, session, tokenizer)


def _packaged_tokenizer(spec: TextSpec, model: PackagedModel) -> Tokenizer:
    if model.tokenizer is None:
        raise ModelError(f"{spec.name}: its row names no tokenizer")
    return Tokenizer.from_buffer(lite_weights.read_packaged(model.tokenizer))

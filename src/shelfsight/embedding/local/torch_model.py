"""Loads the models of `models.table` with torch and transformers; no other file imports them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers.utils import logging

from shelfsight.embedding.local.graph import RunError
from shelfsight.embedding.local.hub import model_folder, with_revision_of_files
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.loading import AT_ONCE, Loading
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.run_threads import run_model
from shelfsight.embedding.local.text_model import TextModel, read_tokenizer
from shelfsight.errors import ModelError
from shelfsight.models.choice import pair_of
from shelfsight.models.specs import (
    Device,
    ImageSpec,
    ModelSpec,
    Spec,
    TextSpec,
    for_torch,
    torch_form,
)

DTYPES: dict[Device, torch.dtype] = {"cpu": torch.float32, "cuda": torch.bfloat16}
"""The dtype of the weights. Qwen3 was published in bfloat16; in float16 its values overflow."""

_LOAD_ERRORS = (OSError, RuntimeError, ValueError, SafetensorError)


def open_pair(
    name: str,
    *,
    model_dir: Path | None,
    device: Device = "cpu",
    threads: int = 0,
    loading: Loading = AT_ONCE,
) -> LocalEmbedder:
    """Load a pair of models with torch, by what `MODELS` calls it.

    Files are looked for as in `onnx_model.open_pair`: in `model_dir`, else in the hub's cache, else
    they are downloaded.

    Raises:
        ModelError: files are missing or cannot be downloaded, a model does not match its row or
            cannot run on `device`, or the pair has no files for torch.

    """
    pair = pair_of(name)
    image = load_image(pair.image, model_dir, device, threads, loading)
    row, folder = _found(pair.text, model_dir)

    def load() -> TextModel:
        loading.notify(f"loading {row.name} with torch")
        return _load_text(row, folder, device, threads)

    if loading.for_scans:
        return LocalEmbedder(image, row.identity, load)
    text = load()
    return LocalEmbedder(image, row.identity, lambda: text)


def load_image(
    spec: ImageSpec,
    model_dir: Path | None,
    device: Device = "cpu",
    threads: int = 0,
    loading: Loading = AT_ONCE,
) -> ImageModel:
    """Load an image model. The arguments and errors are those of `open_pair`."""
    row, folder = _found(spec, model_dir)
    loading.notify(f"loading {row.name} with torch")
    _compute_with(threads)
    return ImageModel(row, TorchGraph(row, folder, device=device, dtype=DTYPES[device]))


def load_text(
    spec: TextSpec, model_dir: Path | None, device: Device = "cpu", threads: int = 0
) -> TextModel:
    """Load a text model. The arguments and errors are those of `open_pair`."""
    row, folder = _found(spec, model_dir)
    return _load_text(row, folder, device, threads)


def _found(spec: Spec, model_dir: Path | None) -> tuple[Spec, Path]:
    """Return the row of a model for torch, with the revision of its files, and their folder."""
    row = for_torch(spec)
    hub = torch_form(spec).hub
    folder = model_folder(row, hub, model_dir)
    return with_revision_of_files(row, hub, folder, model_dir), folder


def _load_text(row: TextSpec, folder: Path, device: Device, threads: int) -> TextModel:
    _compute_with(threads)
    graph = TorchGraph(row, folder, device=device, dtype=DTYPES[device])
    return TextModel(row, graph, read_tokenizer(row, folder))


def _compute_with(threads: int) -> None:
    """Set the number of threads that torch uses for all models; 0 leaves the number unchanged."""
    if threads:
        torch.set_num_threads(threads)


class TorchGraph:
    """Implements `Graph` with torch. The output is float32, whatever the dtype of the weights.

    Texts need no attention mask: padding is on the right, where causal attention does not see it,
    and SigLIP was trained without a mask.

    Raises:
        ModelError: the files have another architecture than the row, or `device` is missing.

    """

    def __init__(
        self, spec: ModelSpec, folder: Path, *, device: Device, dtype: torch.dtype
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError(
                "DEVICE=cuda: torch sees no GPU; see nvidia-smi and "
                "`python -c 'import torch; print(torch.version.cuda)'`, or DEVICE=cpu"
            )
        try:
            self._network = _read(spec, folder, dtype).to(device).eval()
        except _LOAD_ERRORS as error:
            raise ModelError(f"{spec.name} cannot be loaded: {folder}: {RunError(error)}") from None
        self.name = spec.name
        self.device: Device = self._network.device.type
        self.inputs: dict[str, Sequence[Any]] = {self._network.main_input_name: ()}
        self._dtype = dtype
        self._output = spec.output or 0
        self._vocabulary = getattr(self._network.get_input_embeddings(), "num_embeddings", None)

    def run(
        self, feeds: Mapping[str, NDArray[Any]], *, positions: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Compute the output for the inputs; see `Graph.run`."""
        (feed,) = feeds.values()
        # On a GPU a token beyond the vocabulary would make the device unusable for the whole
        # process.
        if self._vocabulary is not None and feed.max() >= self._vocabulary:
            raise RunError(f"token {feed.max()} is beyond the vocabulary of {self._vocabulary}")
        try:
            return run_model(self._forward, feed, positions)
        except torch.AcceleratorError as error:
            raise ModelError(f"{self.name}: the GPU is lost: {RunError(error)}") from None
        except (RuntimeError, ValueError) as error:
            reason = RunError(error)
        # This is raised outside `except`. Otherwise the caught error would keep the memory of the
        # failed run while the halves of the batch are run.
        raise reason

    def _forward(self, feed: NDArray[Any], positions: NDArray[np.int64] | None) -> NDArray[Any]:
        with torch.inference_mode():
            values = torch.from_numpy(feed).to(self._network.device)
            if values.is_floating_point():
                values = values.to(self._dtype)
            wanted = self._network(**{self._network.main_input_name: values})[self._output]
            if positions is not None:
                wanted = wanted[torch.arange(len(positions)), torch.from_numpy(positions)]
            result: NDArray[Any] = wanted.float().cpu().numpy()
        return result


def _read(spec: ModelSpec, folder: Path, dtype: torch.dtype) -> transformers.PreTrainedModel:
    """Load from this folder the network, or the part of it that the row needs."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    architecture = getattr(transformers, torch_form(spec).architecture)
    config = transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    asked = architecture.config_class
    part = getattr(config, asked.base_config_key, config)
    if part.model_type != asked.model_type:
        raise ValueError(f"config.json describes {config.model_type}, not {asked.model_type}")
    part.use_cache = False  # nothing is generated, so no key-value cache is needed
    network, loaded = architecture.from_pretrained(
        folder,
        config=part,
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # transformers fills missing weights with random numbers.
    absent = [*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])]
    if absent:
        raise ValueError(f"the weights have no {min(absent)} as config.json describes it")
    return network

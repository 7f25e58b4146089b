"""The backend `onnx`, in which ONNX Runtime runs the graphs of models."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from shelfsight.embedding.local.graph import RunError
from shelfsight.embedding.local.run_threads import run_model
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device

# ONNX Runtime's errors have no common base class.
_ONNX_ERRORS = (
    errors.EPFail,
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoSuchFile,
    errors.NotImplemented,
    errors.RuntimeException,
)

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How ONNX Runtime runs a graph.

    Attributes:
        device: where it runs.
        threads: the threads that compute on the CPU; 0 means one per core.
        low_memory: the weights stay in their file on the CPU, which the system maps into memory and
            may drop again, and each run gives back its memory. Loading is then faster, and running
            slower; see `weights_memory.has_room_for`.
    """

    device: Device = "cpu"
    threads: int = 0
    low_memory: bool = False


class Session:
    """Implements `Graph` with ONNX Runtime.

    Raises:
        ModelError: the graph cannot be loaded on the device, or has no output named `output`.

    """

    def __init__(
        self,
        graph: bytes | Path,
        *,
        name: str,
        output: str | None,
        execution: Execution = Execution(),
    ) -> None:
        self._session = _open(graph, name, execution)
        self._options = onnxruntime.RunOptions()
        if execution.low_memory:
            shrink = "memory.enable_memory_arena_shrinkage"
            self._options.add_run_config_entry(shrink, "cpu:0")
        outputs = [value.name for value in self._session.get_outputs()]
        if output is not None and output not in outputs:
            raise ModelError(f"{name}: the graph gives {', '.join(outputs)}, but not {output}")
        self.name = name
        self.device = execution.device
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self._dtypes = {value.name: _DTYPES.get(value.type) for value in self._session.get_inputs()}
        self._outputs = [output or outputs[0]]

    def run(
        self, feeds: Mapping[str, NDArray[Any]], *, positions: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Compute the output for the inputs; see `Graph.run`."""
        cast = {name: feed.astype(self._dtypes[name], copy=False) for name, feed in feeds.items()}
        try:
            result: NDArray[Any] = run_model(self._session.run, self._outputs, cast, self._options)[
                0
            ]
        except _ONNX_ERRORS as error:
            raise RunError(error) from None
        return result if positions is None else result[np.arange(len(positions)), positions]


def _open(graph: bytes | Path, name: str, execution: Execution) -> onnxruntime.InferenceSession:
    device = execution.device
    if device == "cuda":
        _require_cuda()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = execution.threads or os.cpu_count() or 1
    # Threads sleep while they wait, because spinning would take cores from other stages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if execution.low_memory:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.log_severity_level = 4
    # ONNX Runtime runs operators that have no CUDA kernel on the CPU.
    providers = [_CUDA, _CPU] if device == "cuda" else [_CPU]
    source = graph if isinstance(graph, bytes) else os.fspath(graph)
    try:
        # ONNX Runtime's own fallback would continue on the CPU and only print a line.
        session = onnxruntime.InferenceSession(
            source, options, providers=providers, enable_fallback=0
        )
    except (*_ONNX_ERRORS, RuntimeError) as error:
        raise ModelError(f"{name} cannot be loaded: {RunError(error)}") from None
    if providers[0] not in session.get_providers():
        raise ModelError(
            f"DEVICE=cuda: ONNX Runtime has put {name} on the CPU, for want of a GPU or of the "
            "libraries of CUDA and cuDNN: pip install 'onnxruntime-gpu[cuda,cudnn]', see nvidia-smi"
        )
    return session


def _require_cuda() -> None:
    available = onnxruntime.get_available_providers()
    if _CUDA not in available:
        raise ModelError(
            "DEVICE=cuda: this ONNX Runtime is built without CUDA; "
            "pip uninstall onnxruntime && pip install onnxruntime-gpu, or DEVICE=cpu"
        )
    onnxruntime.preload_dlls()  # loads CUDA and cuDNN if pip has installed them

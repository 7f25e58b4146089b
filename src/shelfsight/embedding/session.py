"""ONNX Runtime: open a graph, run a batch, keep a bad item from spoiling the others."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from shelfsight.embedding.width import fit_width
from shelfsight.errors import ModelError
from shelfsight.records import Failure, Stage, Vector

Item = TypeVar("Item")

# ONNX Runtime's errors have no class in common.
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


class Session:
    """A loaded graph of which one output is wanted. Threads may run it at the same time.

    `inputs` has the shape of each input; a free dimension has a name instead of a number.

    Raises:
        ModelError: the graph cannot be loaded, or has no output called `output`.

    """

    def __init__(self, graph: bytes | Path, *, name: str, output: str | None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        # A waiting thread sleeps: spinning takes the cores from the stages beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        source = graph if isinstance(graph, bytes) else os.fspath(graph)
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except _ONNX_ERRORS as error:
            raise ModelError(f"{name} cannot be loaded: {_first_line(error)}") from None
        outputs = [value.name for value in self._session.get_outputs()]
        if output is not None and output not in outputs:
            raise ModelError(f"{name}: the graph gives {', '.join(outputs)}, but not {output}")
        self.name = name
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self._dtypes = {value.name: _DTYPES.get(value.type) for value in self._session.get_inputs()}
        self._outputs = [output or outputs[0]]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Give the wanted output; `feeds` are brought to the dtypes the graph asks for.

        Raises one of ONNX Runtime's errors.
        """
        cast = {name: feed.astype(self._dtypes[name], copy=False) for name, feed in feeds.items()}
        result: NDArray[Any] = self._session.run(self._outputs, cast)[0]
        return result


def check(session: Session, trial: Callable[[], NDArray[Any]], width: int) -> None:
    """Run a trial of one item, so that a graph of another kind is refused before the first page.

    Raises:
        ModelError: the graph refuses it, or gives another shape than (1, width).

    """
    try:
        shape = trial().shape
    except _ONNX_ERRORS as error:
        raise ModelError(f"{session.name} refuses its input: {_first_line(error)}") from None
    if shape != (1, width):
        raise ModelError(f"{session.name} gives the shape {shape}, but (1, {width}) is expected")


def embed_each(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], NDArray[Any]],
    *,
    stage: Stage,
    column: int,
) -> list[Vector | Failure]:
    """Run a batch and fit its vectors to their column; a batch that fails is halved.

    So an item that the model cannot take fails alone (`model_error`), and so does one whose
    vector has no direction (`non_finite`).
    """
    try:
        vectors = run(items)
    except _ONNX_ERRORS as error:
        if len(items) == 1:
            return [Failure(stage=stage, kind="model_error", message=_first_line(error))]
        half = len(items) // 2
        return [
            result
            for part in (items[:half], items[half:])
            for result in embed_each(part, run, stage=stage, column=column)
        ]
    lost = Failure(
        stage=stage, kind="non_finite", message="the model gave a vector of no direction"
    )
    fitted = fit_width(np.asarray(vectors, dtype=np.float32), column)
    return [vector if np.isfinite(vector).all() else lost for vector in fitted]


def _first_line(error: Exception) -> str:
    """Shorten an error of ONNX Runtime, which may run over many lines."""
    return str(error).partition("\n")[0]

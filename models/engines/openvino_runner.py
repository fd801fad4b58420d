"""Runs of OpenVINO models on the CPU, for arrays of NumPy."""

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import openvino
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

_THREADS_PER_STREAM = 4
"""Threads for each of several windows in parallel; more threads wait for each other too often."""


class OpenVinoRunner:
    """A network on OpenVINO: a single window on all cores, several windows in parallel.

    Parameters
    ----------
    core : openvino.Core
        Core that compiles the model.
    model : openvino.Model
        From normalised rows (1, rows, bins) to logits (1, classes) and embeddings (1, width); the number of rows may be dynamic.
    full_rows : int
        Rows of a full window.
    hint : {"f32", "bf16"}
        Precision of what is not quantized.
    threads : int
        Threads to use.

    Attributes
    ----------
    request : openvino.InferRequest
        Request for single full windows.

    Raises
    ------
    RuntimeError
        The model can't be compiled.
    """

    def __init__(
        self, core: openvino.Core, model: openvino.Model, *, full_rows: int, hint: str, threads: int
    ) -> None:
        self._core, self._model = core, model
        self._hint, self._threads = hint, threads
        self._full_rows = full_rows
        self._full_model = self._for_full_windows()
        self.request = self._compiled(self._full_model, streams=1).create_infer_request()

    def __call__(self, rows: Floats) -> tuple[Floats, Floats]:
        """Normalised rows float32 (batch, rows, bins) -> logits float32 (batch, classes), embeddings float32 (batch, width)."""
        windows = rows[:, None]  # (batch, 1, rows, bins)
        if rows.shape[1] != self._full_rows:
            return _together([_run(self._short_request, window) for window in windows])
        if len(windows) == 1:
            return _run(self.request, windows[0])
        results: dict[int, tuple[Floats, Floats]] = {}
        self._queue.set_callback(lambda request, place: results.update({place: _results(request)}))
        for place, window in enumerate(windows):
            self._queue.start_async([window], place)
        self._queue.wait_all()
        return _together([results[place] for place in range(len(windows))])

    def _for_full_windows(self) -> openvino.Model:
        """Return the model for full windows, which runs a tenth faster than for any length."""
        if not self._model.is_dynamic():
            return self._model
        model: openvino.Model = self._model.clone()
        bins = model.input(0).partial_shape[2].get_length()
        model.reshape({model.input(0): [1, self._full_rows, bins]})
        return model

    @cached_property
    def _short_request(self) -> Any:
        """Request for shorter windows, which occur in a source's first seconds; compiled at the first one."""
        return self._compiled(self._model, streams=1).create_infer_request()

    @cached_property
    def _queue(self) -> Any:
        """Queue of parallel requests; compiled at the first batch of several windows."""
        streams = max(2, self._threads // _THREADS_PER_STREAM)
        return openvino.AsyncInferQueue(self._compiled(self._full_model, streams=streams), streams)

    def _compiled(self, model: openvino.Model, *, streams: int) -> openvino.CompiledModel:
        properties = {
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": self._hint,
            "INFERENCE_NUM_THREADS": self._threads,
            "ENABLE_CPU_PINNING": False,  # other programs use these cores too
        }
        return self._core.compile_model(model, "CPU", properties)


def _run(request: Any, window: Floats) -> tuple[Floats, Floats]:
    """Run a window (1, rows, bins)."""
    request.infer([window])
    return _results(request)


def _results(request: Any) -> tuple[Floats, Floats]:
    """Copy the results of a request: logits (1, classes), embeddings (1, width)."""
    logits, embeddings = (request.get_output_tensor(index).data.copy() for index in (0, 1))
    return logits, embeddings


def _together(results: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return the results of several windows as one batch."""
    logits, embeddings = zip(*results, strict=True)
    return np.concatenate(logits), np.concatenate(embeddings)

"""Engine on OpenVINO, which is faster than plain PyTorch on CPUs."""

from functools import cached_property
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor

from ..errors import EngineError
from ..network_spec import NetworkSpec
from ..reference_audio import reference_windows
from . import Precision
from .openvino_cache import OpenVinoCache, Rows

VERSION: str = openvino.__version__
PRECISIONS = ("fp32", "bf16", "int8")

_THREADS_PER_STREAM = 4
"""Threads for each of several windows in parallel; more threads wait for each other too often."""


def has_bf16() -> bool:
    """Return True if this processor multiplies in bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine:
    """OpenVINO on the CPU: a single window on all cores, several windows in parallel.

    Parameters
    ----------
    network : NetworkSpec
        Network and its front end; the network is built only if no converted model is cached.
    precision : {"auto", "fp32", "bf16", "int8"}
        Precision of the matrix products; ``auto`` is fp32. In int8, the first and the last layer, and all between the products, are in bf16
        if the processor has it.
    sounds : float32 tensor (windows, n), optional
        Sounds to quantize on again, at least 2. With None, the bundled sounds are used, once.
    keep : bool
        True to cache the converted model for later starts.

    Raises
    ------
    EngineError
        The precision is not available on this machine, or the network can't be converted.
    """

    def __init__(
        self,
        network: NetworkSpec,
        *,
        precision: Precision = "fp32",
        sounds: Tensor | None = None,
        keep: bool = True,
    ) -> None:
        chosen = "fp32" if precision == "auto" else precision
        if chosen not in PRECISIONS:
            raise EngineError(
                f"the openvino engine has no {chosen}: give {', '.join(PRECISIONS[:-1])} or int8"
            )
        if chosen == "bf16" and not has_bf16():
            raise EngineError("this processor has no bf16: give --precision fp32 or int8")
        self._front_end = network.front_end
        self._core = openvino.Core()
        self._hint = "f32" if chosen == "fp32" or not has_bf16() else "bf16"
        try:
            cache = OpenVinoCache(self._core, network, keep=keep)
            if chosen == "int8":
                self._model = cache.quantized(
                    lambda: self._calibration(sounds), self._logits, rebuild=sounds is not None
                )
            else:
                self._model = cache.single()
            self._full_model = self._for_full_windows()
            self._request = self._compiled(self._full_model, streams=1).create_infer_request()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"OpenVINO can't run this network ({reason}): give --engine torch") from error
        self.description = f"openvino cpu {chosen}"

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        return self.forward(self.features(samples))

    def features(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins)."""
        with torch.inference_mode():
            return self._front_end(samples)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        windows = rows.numpy()[:, None]  # (batch, 1, rows, bins)
        if self._full_model.input(0).partial_shape != openvino.PartialShape(windows[0].shape):
            parts = [self._run_short(window) for window in windows]
            return torch.cat([logits for logits, _ in parts]), torch.cat(
                [embeddings for _, embeddings in parts]
            )
        if len(windows) == 1:
            self._request.infer([windows[0]])
            return _results(self._request)
        results: dict[int, tuple[Tensor, Tensor]] = {}
        self._queue.set_callback(lambda request, place: results.update({place: _results(request)}))
        for place, window in enumerate(windows):
            self._queue.start_async([window], place)
        self._queue.wait_all()
        logits, embeddings = zip(*(results[place] for place in range(len(windows))), strict=True)
        return torch.cat(logits), torch.cat(embeddings)

    def _for_full_windows(self) -> openvino.Model:
        """Return the model for full windows, which runs a tenth faster than for any length."""
        if not self._model.is_dynamic():
            return self._model
        model: openvino.Model = self._model.clone()
        with torch.inference_mode():
            rows = self._front_end(torch.zeros(1, self._front_end.window_samples))
        model.reshape({model.input(0): list(rows.shape)})
        return model

    def _run_short(self, window: Rows) -> tuple[Tensor, Tensor]:
        """Run a window (1, rows, bins) of any length."""
        self._short_request.infer([window])
        return _results(self._short_request)

    @cached_property
    def _short_request(self) -> Any:
        """Request for shorter windows, which occur in a source's first seconds; compiled at the first one."""
        return self._compiled(self._model, streams=1).create_infer_request()

    @cached_property
    def _queue(self) -> Any:
        """Queue of parallel requests; compiled at the first batch of several windows."""
        streams = max(2, torch.get_num_threads() // _THREADS_PER_STREAM)
        return openvino.AsyncInferQueue(self._compiled(self._full_model, streams=streams), streams)

    def _compiled(self, model: openvino.Model, *, streams: int) -> openvino.CompiledModel:
        properties = {
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": self._hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other programs use these cores too
        }
        return self._core.compile_model(model, "CPU", properties)

    def _calibration(self, sounds: Tensor | None) -> tuple[Rows, Rows]:
        """Return normalised rows (windows, rows, bins) to quantize on, and others to compare on."""
        if sounds is None:
            sounds = reference_windows(self._front_end.window_samples)
        rows = self.features(sounds).numpy()
        return rows[::2], rows[1::2]

    def _logits(self, model: openvino.Model, rows: Rows) -> Rows:
        run = self._compiled(model, streams=1).create_infer_request()
        return np.concatenate([run.infer([window])[0] for window in rows[:, None]])


def _results(request: Any) -> tuple[Tensor, Tensor]:
    """Copy the results of a request: logits (1, classes), embeddings (1, width)."""
    logits, embeddings = (torch.from_numpy(request.get_output_tensor(i).data.copy()) for i in (0, 1))
    return logits, embeddings

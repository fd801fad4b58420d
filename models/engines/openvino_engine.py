"""Engine on OpenVINO, which is faster than plain PyTorch on CPUs."""

import numpy as np
import openvino
import torch
from torch import Tensor

from ..errors import EngineError
from ..network_spec import NetworkSpec
from ..reference_audio import reference_windows
from . import Precision, Samples
from .openvino_cache import OpenVinoCache, Rows
from .openvino_runner import OpenVinoRunner

VERSION: str = openvino.__version__
PRECISIONS = ("fp32", "bf16", "int8")


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
                model = cache.quantized(
                    lambda: self._calibration(sounds), self._logits, rebuild=sounds is not None
                )
            else:
                model = cache.single()
            self._run = self._runner(model)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"OpenVINO can't run this network ({reason}): give --engine torch") from error
        self.description = f"openvino cpu {chosen}"

    def __call__(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        return self.forward(self.features(samples))

    def features(self, samples: Samples) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins)."""
        with torch.inference_mode():
            return self._front_end(torch.as_tensor(samples))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        logits, embeddings = self._run(rows.numpy())
        return torch.from_numpy(logits), torch.from_numpy(embeddings)

    def _runner(self, model: openvino.Model) -> OpenVinoRunner:
        full = self.features(torch.zeros(1, self._front_end.window_samples)).shape[1]
        return OpenVinoRunner(
            self._core, model, full_rows=full, hint=self._hint, threads=torch.get_num_threads()
        )

    def _calibration(self, sounds: Tensor | None) -> tuple[Rows, Rows]:
        """Return normalised rows (windows, rows, bins) to quantize on, and others to compare on."""
        if sounds is None:
            sounds = reference_windows(self._front_end.window_samples)
        rows = self.features(sounds).numpy()
        return rows[::2], rows[1::2]

    def _logits(self, model: openvino.Model, rows: Rows) -> Rows:
        run = self._runner(model)
        return np.concatenate([run(window)[0] for window in rows[:, None]])

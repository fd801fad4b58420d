"""The forward pass in OpenVINO, which is faster than plain PyTorch on CPUs: the only importer of openvino.

A network is translated once from its trace; the translation is kept in the user's cache, so that later starts are quick.
"""

import hashlib
import logging
import tempfile
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openvino
import platformdirs
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from .. import fbank
from ..errors import EngineError
from ..transformer import AudioSpectrogramTransformer
from . import Precision

_log = logging.getLogger(__name__)

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_KEPT = 8
"""Translations in the cache; the oldest go first."""


class OpenVinoEngine:
    """OpenVINO on the CPU, one window at a time.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        In evaluation mode.
    mean, std : float
        Normalisation of the rows.
    precision : {"auto", "fp32", "bf16"}
        Of the matrix products; ``auto`` is fp32.

    Raises
    ------
    EngineError
        The precision can't be had here, or the network can't be translated.
    """

    def __init__(
        self, network: AudioSpectrogramTransformer, *, mean: float, std: float, precision: Precision = "auto"
    ) -> None:
        chosen = "fp32" if precision == "auto" else precision
        core = openvino.Core()
        if chosen not in _HINTS:
            raise EngineError(f"the openvino engine has no {chosen}: give fp32 or bf16")
        if chosen == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("this processor has no bf16: give --precision fp32")
        self._config = network.config
        self._mean, self._std = mean, std
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[chosen],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other programs may want these cores too
        }
        try:
            model = _translated(core, network)
            self._request = core.compile_model(model, "CPU", properties).create_infer_request()
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
            rows = fbank.fbank(samples, self._config.input_fdim)
            return fbank.input_rows(rows, self._config.input_tdim, self._mean, self._std)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        logits, embeddings = zip(*map(self._infer, rows.numpy()[:, None]), strict=True)
        return torch.cat(logits), torch.cat(embeddings)

    def _infer(self, window: Any) -> tuple[Tensor, Tensor]:
        self._request.infer([window])
        logits, embeddings = (
            torch.from_numpy(self._request.get_output_tensor(i).data.copy()) for i in (0, 1)
        )
        return logits, embeddings


class _Both(nn.Module):
    """What OpenVINO is given: rows in, logits and embeddings out."""

    def __init__(self, network: AudioSpectrogramTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.network.forward_features(rows)
        return self.network.forward_head(tokens), self.network.forward_embedding(tokens)


def _translated(core: openvino.Core, network: AudioSpectrogramTransformer) -> openvino.Model:
    """Read the network's translation from the cache, or make it."""
    folder = Path(platformdirs.user_cache_dir("earshot")) / "openvino"
    file = folder / f"{_fingerprint(network)}.xml"
    if file.is_file():
        with suppress(RuntimeError):  # damaged, or of another version: made again
            return core.read_model(file)
    model = _translate(network)
    with suppress(OSError, RuntimeError):  # without a cache, the next start takes longer
        _keep(model, folder, file)
    return model


def _translate(network: AudioSpectrogramTransformer) -> openvino.Model:
    """Translate a trace of the network for one window."""
    _log.info("preparing the model for this processor, once")
    rows = torch.zeros(1, network.config.input_tdim, network.config.input_fdim)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: shapes are constant, and meant to be
        traced = torch.jit.trace(_Both(network).eval(), rows, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=rows)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model: openvino.Model = frontend.convert(frontend.load(decoder))
    model.reshape({model.input(0): list(rows.shape)})
    return model


def _keep(model: openvino.Model, folder: Path, file: Path) -> None:
    """Write a translation: weights first, so that a kill leaves none or a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        part = Path(scratch) / file.name
        openvino.save_model(model, part, compress_to_fp16=False)
        part.with_suffix(".bin").replace(file.with_suffix(".bin"))
        part.replace(file)
    translations = sorted(folder.glob("*.xml"), key=lambda path: path.stat().st_mtime)
    for old in translations[:-_KEPT]:
        old.unlink()
        old.with_suffix(".bin").unlink(missing_ok=True)


def _fingerprint(network: AudioSpectrogramTransformer) -> str:
    """Of all that a translation depends on."""
    content = hashlib.sha256(repr((openvino.__version__, torch.__version__)).encode())
    content.update(repr(asdict(network.config)).encode())
    for name, weights in network.state_dict().items():
        content.update(name.encode())
        content.update(weights.numpy().tobytes())
    return content.hexdigest()[:32]

"""Conversion of networks from PyTorch to OpenVINO, cached in the user's cache folder."""

import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
import openvino
import platformdirs
import torch
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from ..errors import EngineError
from ..network_spec import Network, NetworkSpec
from .quantization import quantize

_log = logging.getLogger(__name__)

Rows: TypeAlias = NDArray[np.float32]
"""Normalised rows float32 (windows, rows, bins)."""
Logits: TypeAlias = Callable[[openvino.Model, Rows], Rows]
"""Function that runs a model on windows, and returns float32 (windows, classes)."""

_QUANTIZED = "-int8"
_PREFIX = "tmp"
_ABANDONED_SECONDS = 24 * 3600.0
"""Age of a temporary folder from which on nobody uses it."""
_MAX_SINGLE, _MAX_QUANTIZED = 8, 12
"""Most models of either kind in the cache; the least recently used are deleted first. A conversion takes seconds, and a quantization minutes,
or sounds of the user: it gives way to other quantizations only. Twelve hold two ensembles."""


class OpenVinoCache:
    """Cached OpenVINO models of one network.

    Parameters
    ----------
    core : openvino.Core
        Core that reads the models.
    network : NetworkSpec
        Network; it is built only if no converted model is cached.
    keep : bool
        True to save new models in the cache.
    """

    def __init__(self, core: openvino.Core, network: NetworkSpec, *, keep: bool = True) -> None:
        self._core = core
        self._network = network
        self._keep = keep
        self._folder = Path(platformdirs.user_cache_dir("earshot")) / "openvino"
        versions = f"{openvino.__version__}-{torch.__version__}".replace("/", "-")
        self._single = self._folder / f"{network.fingerprint}-{versions}.xml"
        self._quantized = self._single.with_name(f"{self._single.stem}{_QUANTIZED}.xml")

    def single(self) -> openvino.Model:
        """Return the network in single precision."""
        return self._cached(self._single, lambda _: self._convert())

    def _convert(self) -> openvino.Model:
        if self._keep:
            _log.info("converting the model for OpenVINO, once")
        return _convert(self._network.build())

    def quantized(
        self, calibration: Callable[[], tuple[Rows, Rows]], logits: Logits, *, rebuild: bool
    ) -> openvino.Model:
        """Return the network in 8 bits, quantized with or without smoothing, whichever changes the scores less.

        Parameters
        ----------
        calibration : callable
            Function that returns rows to calibrate on, and rows to compare on.
        logits : callable
            Function that runs a model.
        rebuild : bool
            True to replace a cached model.

        Raises
        ------
        EngineError
            The network can't be quantized.
        """
        return self._cached(
            self._quantized, lambda scratch: self._quantize(scratch, *calibration(), logits), rebuild=rebuild
        )

    def _quantize(self, scratch: Path, rows: Rows, others: Rows, logits: Logits) -> openvino.Model:
        _log.info("quantizing the model to 8 bits, once; this takes a minute")
        single = self.single()
        source, sound = scratch / "single.xml", scratch / "rows.npy"
        openvino.save_model(single, source, compress_to_fp16=False)
        np.save(sound, rows)
        expected, best, least = logits(single, others), None, np.inf
        for smooth in (False, True):
            target = scratch / f"smooth-{smooth}.xml"
            quantize(source, sound, target, smooth=smooth)
            model = self._core.read_model(target)
            error = float(np.abs(logits(model, others) - expected).mean())
            if error < least:
                best, least = model, error
        assert best is not None  # noqa: S101 - an error is a finite number
        return best

    def _cached(
        self, file: Path, make: Callable[[Path], openvino.Model], *, rebuild: bool = False
    ) -> openvino.Model:
        """Read a model from the cache, or make it in a temporary folder and save it; with `rebuild`, in the place of the old one."""
        if file.is_file() and not rebuild:
            with suppress(RuntimeError):  # damaged, or from another version: made again
                model = self._core.read_model(file)
                with suppress(OSError):
                    file.touch()
                return model
        with _scratch(self._folder if self._keep else None) as scratch:
            model = make(scratch)
            if self._keep:
                try:
                    _save(model, scratch, file)
                except (OSError, RuntimeError) as error:
                    if rebuild:
                        raise EngineError(
                            f"the model can't be saved in {self._folder}: make room there, or check its permissions"
                        ) from error
                    _log.debug("the next start takes longer: %s", error)
        return model


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    """Create a temporary folder: in `folder`, so that files can be moved from it, or elsewhere if that is None or unwritable."""
    with ExitStack() as stack:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(folder)
            made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
        except OSError:
            made = tempfile.TemporaryDirectory()
        yield Path(stack.enter_context(made))


def _remove_abandoned(folder: Path) -> None:
    """Delete the temporary folders that programs have left that were killed."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _save(model: openvino.Model, scratch: Path, file: Path) -> None:
    """Write a model: weights first, so that a kill leaves no model or a complete one. Delete the oldest ones."""
    part = scratch / file.name
    openvino.save_model(model, part, compress_to_fp16=False)
    file.unlink(missing_ok=True)  # an old one does not go with the new weights
    part.with_suffix(".bin").replace(file.with_suffix(".bin"))
    part.replace(file)
    models = sorted(file.parent.glob("*.xml"), key=lambda path: path.stat().st_mtime)
    quantized = [path for path in models if path.stem.endswith(_QUANTIZED)]
    single = [path for path in models if path not in quantized]
    for old in (*single[:-_MAX_SINGLE], *quantized[:-_MAX_QUANTIZED]):
        old.unlink()
        old.with_suffix(".bin").unlink(missing_ok=True)


class _Both(nn.Module):
    """Network from rows to logits and embeddings, for tracing."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.network.forward_features(rows)
        return self.network.forward_head(tokens), self.network.forward_embedding(tokens)


def _convert(network: Network) -> openvino.Model:
    """Convert a trace of the network for one window."""
    rows = torch.zeros(1, network.config.input_tdim, network.config.input_fdim)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about constant shapes, which are intended
        traced = torch.jit.trace(_Both(network).eval(), rows, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=rows)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model: openvino.Model = frontend.convert(frontend.load(decoder))
    config = network.config
    length = config.input_tdim if config.fixed_rows else openvino.Dimension(config.patch, config.input_tdim)
    model.reshape({model.input(0): [1, length, config.input_fdim]})
    return model

"""The embedded model without PyTorch, for a program that has to tag within a second."""

import hashlib
from dataclasses import asdict, replace
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from .catalogue import EMBEDDED
from .engines.ast_graph import PREFIX_TOKENS, AstGraph, AstShape
from .known_labels import read_header
from .log_mel import FRAME_SHIFT
from .sample_checks import SAMPLE_RATE_HZ, require_window_length
from .tagger import Tagger

_POSITIONS = "v.pos_embed"
Weights = dict[str, NDArray[Any]]


def load_embedded(window_seconds: float | None = None) -> Tagger:
    """Load ``tiny`` on OpenVINO in single precision.

    Its scores are those of `load_tagger` within 1e-5.

    Parameters
    ----------
    window_seconds : float, optional
        Length of the longest window, 1 to 10.24; by default the model's own.

    Raises
    ------
    ValueError
        `window_seconds` is out of range.
    RuntimeError
        OpenVINO can't run the network.
    """
    require_window_length(window_seconds)
    with as_file(files("models") / "assets" / f"{EMBEDDED}.safetensors") as path:
        header = read_header(path)
        with safe_open(path, framework="np") as file:
            weights: Weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    trained = AstShape(**header["config"])
    rows = (
        trained.input_tdim if window_seconds is None else round(window_seconds * SAMPLE_RATE_HZ / FRAME_SHIFT)
    )
    shape = replace(trained, input_tdim=rows)
    positions = _middle_positions(weights[_POSITIONS], trained, shape)
    return Tagger(
        AstGraph(shape, {**weights, _POSITIONS: positions}, mean=header["mean"], std=header["std"]),
        name=EMBEDDED,
        labels=tuple(header["labels"]),
        window_samples=rows * FRAME_SHIFT,
        activation=header["activation"],
        thresholds=header["thresholds"],
        fingerprint=_fingerprint(shape, weights),
    )


def _middle_positions(positions: NDArray[Any], trained: AstShape, shape: AstShape) -> NDArray[Any]:
    """Return the positional embedding (1, tokens, width) of a shorter window, as `ast_network.adapt_positions` does."""
    prefix, patches = positions[:, :PREFIX_TOKENS], positions[:, PREFIX_TOKENS:]
    grid = patches.reshape(*trained.grid, -1)  # (bins, rows, width)
    before, after = trained.grid[1], shape.grid[1]
    first = before // 2 - after // 2
    middle = grid[:, first : first + after]
    return np.concatenate((prefix, middle.reshape(1, -1, grid.shape[-1])), 1)


def _fingerprint(shape: AstShape, weights: Weights) -> str:
    """Return the hash that `network_spec.fingerprint` makes of the same network."""
    content = hashlib.sha256(repr(asdict(shape)).encode())
    for name, values in weights.items():
        content.update(f"{name} torch.{values.dtype} {values.shape}".encode())
        content.update(values.tobytes())
    return content.hexdigest()[:32]

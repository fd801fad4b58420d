"""Files of the original AST code: a state dict under the names ``module.v.…`` and ``module.mlp_head.…``.

They hold only weights. The size of the network follows from their shapes; the strides and the length from the file's
name, the number of tokens, or the user.
"""

import csv
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from .. import frontends
from ..ast_network import POSITIONS, AstConfig
from ..errors import CheckpointError
from ..labels import audioset_classes
from ..tagger import Activation
from .checkpoint import Checkpoint

LABEL_TABLE = "class_labels_indices.csv"
"""Table of labels of the original code, with the columns index, mid and display_name."""

_STANDARD_ROWS = (1024, 512, 256, 128)
_STANDARD_STRIDES = (10, 12, 14, 16)
_BINS = 128
_HEAD_WIDTH = 64
"""Components of an attention head in each size of DeiT."""
_STRIDES_IN_NAME = (r"(?<!\d)f(\d{1,2})-t(\d{1,2})(?!\d)", r"(?<!\d)(\d{1,2})_(\d{1,2})(?!\d)")
_UNUSED = ("v.head.", "v.head_dist.")
"""DeiT's heads, which AST does not use."""
_TASKS: dict[int, tuple[str, float, float, Activation]] = {
    50: ("ESC-50", -6.6268077, 5.358466, "softmax"),
    35: ("Speech Commands V2", -6.845978, 5.5654526, "sigmoid"),
}
"""Original recipes for other data than AudioSet, by number of classes: name, mean and deviation of the features, and activation."""

_AUDIOSET: tuple[str, float, float, Activation] = (
    "AudioSet",
    frontends.AUDIOSET_MEAN,
    frontends.AUDIOSET_STD,
    "sigmoid",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Geometry of a network, as far as the user gives it; None to detect it.

    Attributes
    ----------
    fstride, tstride : int, optional
        Steps between patches along mel bins and rows.
    input_tdim : int, optional
        Rows of the input: 100 a second.
    """

    fstride: int | None = None
    tstride: int | None = None
    input_tdim: int | None = None


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Return True if the tensors have the names of the original code."""
    return any(key.removeprefix("module.") == POSITIONS for key in tensors)


def original_checkpoint(path: Path, tensors: Mapping[str, Tensor], geometry: Geometry) -> Checkpoint:
    """Return the checkpoint of a state dict of the original code.

    Parameters
    ----------
    path : Path
        File of the weights: its name may contain the strides, and a table of labels may be beside it.
    tensors : mapping of str to tensor
        State dict, with or without the prefix of `DataParallel`.
    geometry : Geometry
        Geometry as given by the user.

    Raises
    ------
    CheckpointError
        The weights are not an AST's, or their geometry can't be detected.
    """
    weights = {key.removeprefix("module."): value for key, value in tensors.items()}
    weights = {key: value for key, value in weights.items() if not key.startswith(_UNUSED)}
    try:
        blocks = {int(key.split(".")[2]) for key in weights if key.startswith("v.blocks.")}
        width = weights[POSITIONS].shape[2]
        patch = weights["v.patch_embed.proj.weight"].shape[-1]
        label_dim = weights["mlp_head.1.weight"].shape[0]
        fstride, tstride, rows = _find_geometry(path, weights[POSITIONS].shape[1] - 2, patch, geometry)
        config = AstConfig(
            width=width,
            depth=len(blocks),
            heads=max(1, width // _HEAD_WIDTH),
            mlp_width=weights["v.blocks.0.mlp.fc1.weight"].shape[0],
            fstride=fstride,
            tstride=tstride,
            input_fdim=_BINS,
            input_tdim=rows,
            label_dim=label_dim,
            patch=patch,
            qkv_bias="v.blocks.0.attn.qkv.bias" in weights,
        )
    except (ValueError, LookupError) as error:
        raise CheckpointError(
            f"{path} is not the complete state dict of an AST ({error}): fetch it again"
        ) from error
    task, mean, std, activation = _TASKS.get(label_dim, _AUDIOSET)
    if label_dim in _TASKS:
        _log.info("%s has %d classes and is treated as a model of %s", path, label_dim, task)
    return Checkpoint(
        name=path.stem,
        config=config,
        labels=_labels(path, label_dim),
        weights=weights,
        mean=mean,
        std=std,
        activation=activation,
    )


def _find_geometry(path: Path, tokens: int, patch: int, geometry: Geometry) -> tuple[int, int, int]:
    """Find strides and rows from the user, the file's name or the number of tokens."""
    strides = [_strides_in_name(path.stem), *((stride, stride) for stride in _STANDARD_STRIDES)]
    if either := geometry.fstride or geometry.tstride:
        strides = [(geometry.fstride or either, geometry.tstride or either)]
    lengths = _STANDARD_ROWS if geometry.input_tdim is None else (geometry.input_tdim,)
    for fstride, tstride in strides:
        for rows in lengths:
            if _tokens(fstride, tstride, rows, patch) == tokens:
                return fstride, tstride, rows
    given = [f"{name} {value}" for name, value in asdict(geometry).items() if value is not None]
    raise CheckpointError(
        f"the {tokens} patches of {path} are not those of {', '.join(given) or 'any standard strides and length'}: give the geometry of its "
        "training with fstride, tstride and input_tdim (on the command line --fstride 10 --tstride 10 --input-tdim 1024)"
    )


def _strides_in_name(stem: str) -> tuple[int, int]:
    """Return the strides in a name such as ``audioset_10_10_0.4593`` or ``test-full-f10-t10-p``; zeros if there are none."""
    for pattern in _STRIDES_IN_NAME:
        if found := re.search(pattern, stem):
            return int(found[1]), int(found[2])
    return 0, 0


def _tokens(fstride: int, tstride: int, rows: int, patch: int) -> int:
    """Return the number of patches of a geometry; 0 if it is impossible."""
    if not (1 <= fstride <= patch and 1 <= tstride <= patch and rows >= patch):
        return 0
    return ((_BINS - patch) // fstride + 1) * ((rows - patch) // tstride + 1)


def _labels(path: Path, count: int) -> tuple[str, ...]:
    """Return the labels from a table beside the file, or AudioSet's."""
    for table in (path.with_suffix(".csv"), path.with_name(LABEL_TABLE)):
        if table.is_file():
            return _read_labels(table)
    if count == len(audioset_classes()):
        return tuple(entry.name for entry in audioset_classes())
    _log.warning(
        "%s has no names for its %d classes; put a table with the columns index and display_name beside it as %s",
        path,
        count,
        path.with_suffix(".csv").name,
    )
    return tuple(f"LABEL_{index}" for index in range(count))


def _read_labels(table: Path) -> tuple[str, ...]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = sorted((int(row["index"]), row["display_name"]) for row in csv.DictReader(file))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise CheckpointError(
            f"{table} is not a table of labels ({error}): it needs the columns index and display_name"
        ) from error
    if None in (name for _, name in rows):
        raise CheckpointError(f"a line of {table} has no label: correct the table")
    if [index for index, _ in rows] != list(range(len(rows))):
        raise CheckpointError(f"the indices in {table} must count from 0 without gaps: correct the table")
    return tuple(name for _, name in rows)

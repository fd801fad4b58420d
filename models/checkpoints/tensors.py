"""Files of tensors: safetensors, and what `torch.save` wrote, of which nothing but tensors is ever unpickled."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""How a file of `torch.save` begins: today's, and those written before PyTorch 1.6."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which keys training scripts put the weights beside other things."""


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read a file of tensors.

    Parameters
    ----------
    path : Path
        Told apart by its first bytes, unless it is called ``….safetensors``.

    Returns
    -------
    metadata : dict of str to str
        Of safetensors; a pickle has none.
    tensors : dict of str to tensor
        By name.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, of another kind, or holds more than tensors.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read ({error.strerror}): check its name and its permissions"
        ) from error
    if path.suffix == ".safetensors" or not start.startswith((_ZIP, _PICKLE)):
        return _read_safetensors(path)
    if start == _ZIP:
        _refuse_packed(path)
    tensors = _read_pickle(path)
    # Numbers may stand for many others: a tensor says by itself how its memory is to be seen.
    if sum(tensor.nbytes for tensor in tensors.values()) > path.stat().st_size:
        raise CheckpointError(f"{path} describes larger weights than it holds: save its state_dict() again")
    return {}, tensors


def _refuse_packed(path: Path) -> None:
    """Refuse a file that would be larger in memory than it is: PyTorch packs nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}): it is cut short or of another format, fetch it again"
        ) from error
    if whole > path.stat().st_size:
        raise CheckpointError(f"{path} is packed, as torch.save packs nothing: save its state_dict() again")


def _read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} can't be read as safetensors ({error}): it is broken or of another format, fetch it again"
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the ways of old versions of PyTorch
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than weights, and nothing else is ever unpickled: fetch it again, or save "
            "its state_dict() alone"
        ) from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        ArithmeticError,
        EOFError,
        MemoryError,  # a length that is nonsense
        struct.error,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}): it is cut short or of another format, fetch it again"
        ) from error
    return _state_dict(content, path)


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights among what a training script saved."""
    if isinstance(content, Mapping):
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
                break
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise CheckpointError(f"{path} holds no weights: give a file that holds a state_dict() of an AST")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

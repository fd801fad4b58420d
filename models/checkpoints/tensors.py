"""Files of tensors: safetensors and files of `torch.save`, from which only tensors are unpickled."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""First bytes of files of `torch.save`: current ones, and those of PyTorch before 1.6."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts save the weights beside other values."""
_COMPILED = "_orig_mod."
"""Part of a name that torch.compile adds."""
_POSITIONS = (
    *(
        "v.pos_embed",
        "v.patch_embed.positions",
        "audio_spectrogram_transformer.embeddings.position_embeddings",
    ),
    *("encoder.time_pos_embed", "pos_embed"),
)
"""Names of the positional embedding in the original code, in Hugging Face's, and in timm's; what stands before them is not the network's."""


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read a file of tensors.

    Parameters
    ----------
    path : Path
        File to read. Its first bytes tell the format, unless its name ends in ``.safetensors``.

    Returns
    -------
    metadata : dict of str to str
        Metadata of a safetensors file; empty for a pickle.
    tensors : dict of str to tensor
        Tensors by name.

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
        metadata, tensors = _read_safetensors(path)
        return metadata, _without_wrappers(tensors, path)
    if start == _ZIP:
        _refuse_packed(path)
    tensors = _read_pickle(path)
    if any(tensor.layout is not torch.strided or tensor.is_meta for tensor in tensors.values()):
        raise CheckpointError(f"{path} has sparse or missing weights: save its state_dict() as dense tensors")
    # A tensor defines its strides, so that a few numbers in the file may become a huge tensor.
    if sum(tensor.nbytes for tensor in tensors.values()) > path.stat().st_size:
        raise CheckpointError(
            f"{path} describes larger weights than it contains: save its state_dict() again"
        )
    return {}, _without_wrappers(tensors, path)


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Tensors by name; they keep their dtype.
    path : Path
        File to write. It is replaced atomically, so that a kill leaves the old file or the new one.
    metadata : mapping of str to str
        Metadata of the file.

    Raises
    ------
    OSError
        The file can't be written; an older one is kept.
    """
    part = path.with_name(path.name + ".part")
    part.touch()
    mode = part.stat().st_mode
    try:
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part, dict(metadata)
        )
    except SafetensorError as error:  # the library's exception for all errors of the disk
        part.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    part.chmod(mode)  # the library makes the file readable for its owner only
    part.replace(path)


def _without_wrappers(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of the network alone, under its own names.

    Names lose what torch.compile, DataParallel or a training loop put before them; tensors beside the network, such as those of a loss,
    are left out.
    """
    names = {name.replace(_COMPILED, ""): name for name in tensors}
    for last in _POSITIONS:
        prefixes = {name.removesuffix(last) for name in names if name == last or name.endswith(f".{last}")}
        if len(prefixes) > 1:
            several = ", ".join(sorted(prefix.rstrip(".") or last for prefix in prefixes))
            raise CheckpointError(
                f"{path} holds several networks ({several}): save the state_dict() of one of them"
            )
        if prefixes:
            (prefix,) = prefixes
            return {
                name.removeprefix(prefix): tensors[written]
                for name, written in names.items()
                if name.startswith(prefix)
            }
    return tensors


def _refuse_packed(path: Path) -> None:
    """Refuse a compressed file, which may be huge in memory: PyTorch does not compress."""
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}): it is cut short or of another format, fetch it again"
        ) from error
    if whole > path.stat().st_size:
        raise CheckpointError(
            f"{path} is compressed, which torch.save never does: save its state_dict() again"
        )


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
            warnings.simplefilter("ignore")  # about formats of old versions of PyTorch
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than weights, and only weights are unpickled: fetch it again, or save "
            "only its state_dict()"
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
        MemoryError,  # a corrupt length
        struct.error,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}): it is cut short or of another format, fetch it again"
        ) from error
    return _state_dict(content, path)


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the weights in a file of a training script."""
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

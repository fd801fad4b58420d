"""State of a training on disk: a kill leaves the old file or the new one; a broken file raises an error with advice."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from ..errors import TrainingError


def save_state(state: Mapping[str, Any], file: Path) -> None:
    """Write tensors and plain values.

    Raises
    ------
    TrainingError
        The disk can't be written; the state saved before is still there.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state), part)
        part.replace(file)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError where the disk is full
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else "the disk may be full"
        raise TrainingError(
            f"the state can't be saved in {file.parent} ({reason}): free some space, or give another --out"
        ) from error


@contextmanager
def restoring(file: Path, device: torch.device, *, advice: str) -> Iterator[dict[str, Any]]:
    """Read a saved state, and report errors of the ``with`` block as those of the file.

    Parameters
    ----------
    file : Path
        File of the state.
    device : torch.device
        Device of its tensors.
    advice : str
        Advice to the user if it can't be used.

    Raises
    ------
    TrainingError
        There is no such file, it is broken, or its content does not fit.
    """
    try:
        yield torch.load(file, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(
            f"there is nothing to resume in {file.parent}: leave out --resume to start"
        ) from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise TrainingError(
            f"{file} can't be resumed ({reason}): it is broken or belongs to another run; {advice}"
        ) from error

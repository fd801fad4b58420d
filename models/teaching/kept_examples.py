"""Kept examples: the audio of a taught sound, from which it is learned again for another model. Kept only if the user asks for it."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .examples import Example
from .private_files import replacing

Floats = NDArray[np.float32]

_FULL_SCALE = 32_767
_EXAMPLE, _OTHER = "example", "other"


@dataclass(frozen=True, slots=True, eq=False)
class KeptExamples:
    """Audio that a sound was taught from.

    Attributes
    ----------
    examples : tuple of Example
        The sound.
    others : tuple of float32 (n,)
        Recordings without it.
    """

    examples: tuple[Example, ...]
    others: tuple[Floats, ...]


def write_examples(file: Path, examples: Sequence[Example], others: Sequence[Floats]) -> None:
    """Write examples and recordings without the sound, with 16 bits a sample, for their owner only.

    Raises
    ------
    TeachingError
        The file can't be written; what was there is unchanged.
    """
    arrays: dict[str, Any] = {
        f"{_EXAMPLE} {index:03}": _steps(example.samples) for index, example in enumerate(examples)
    }
    arrays |= {f"{_OTHER} {index:03}": _steps(samples) for index, samples in enumerate(others)}
    names = np.array([example.name for example in examples])
    with replacing(file) as output:
        np.savez_compressed(output, names=names, **arrays)


def read_examples(file: Path) -> KeptExamples | None:
    """Return what was kept; None if nothing was, or it can't be read."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as saved:
            names = [str(name) for name in saved["names"]]
            sounds = [_samples(saved[f"{_EXAMPLE} {index:03}"]) for index in range(len(names))]
            others = [_samples(saved[key]) for key in saved.files if key.startswith(_OTHER)]
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None
    return KeptExamples(tuple(map(Example, names, sounds)), tuple(others))


def _steps(samples: Floats) -> NDArray[np.int16]:
    steps: NDArray[np.int16] = np.rint(samples.clip(-1, 1) * _FULL_SCALE).astype(np.int16)
    return steps


def _samples(steps: NDArray[np.int16]) -> Floats:
    if steps.dtype != np.int16 or steps.ndim != 1 or not len(steps):
        raise ValueError("no samples")
    return steps.astype(np.float32) / np.float32(_FULL_SCALE)

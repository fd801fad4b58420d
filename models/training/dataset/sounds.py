"""The sounds of a data set, decoded once where memory allows it."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import frontends
from ...errors import SoundError, TrainingError
from .examples import Dataset

logger = logging.getLogger(__name__)

Samples: TypeAlias = NDArray[np.float32]
Reader: TypeAlias = Callable[[Path], Samples]
"""Decodes a recording: a path -> 16 kHz mono float32 (n,), n at least 1. Raises `SoundError` for what can't be read or is empty."""


class SoundCache:
    """A reader that remembers: decoded sounds stay in memory until a limit is reached, later ones are decoded at each call.

    Training asks for all sounds in each epoch, in a new order: dropping old ones for new ones would gain nothing. Several threads may
    call it.

    Parameters
    ----------
    reader : Reader
        Decodes.
    limit_bytes : int
        Of what is kept; 2 GiB are nine hours of sound.
    """

    def __init__(self, reader: Reader, limit_bytes: int = 2 << 30) -> None:
        self._reader = reader
        self._room = limit_bytes
        self._kept: dict[Path, Samples] = {}
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> Samples:
        """Decode a recording, or remember it.

        Returns
        -------
        float32 (n,)
            16 kHz mono; shared with later calls, so not to be changed.

        Raises
        ------
        SoundError
            It can't be read.
        """
        if (kept := self._kept.get(path)) is not None:
            return kept
        samples = self._reader(path)  # outside of the lock: decoding is what takes long
        with self._lock:
            if path not in self._kept and samples.nbytes <= self._room:
                self._kept[path] = samples
                self._room -= samples.nbytes
        return samples


def readable(
    dataset: Dataset,
    cache: Reader,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Dataset, list[tuple[Path, str]]]:
    """Decode everything once, and leave out what can't be learned from: what can't be read, or is shorter than a frame of 25 ms.

    Recordings that are zero throughout stay, as silence may be a class, and are counted in the log.

    Parameters
    ----------
    dataset : Dataset
        Its files may be missing, empty or broken.
    cache : Reader
        Usually a `SoundCache`, which then holds the sounds.
    progress : callable, optional
        Told recordings done and recordings in all.

    Returns
    -------
    Dataset
        What can be read; the labels stay the same.
    list of (Path, str)
        What was left out, and why.

    Raises
    ------
    TrainingError
        Nothing can be read.
    """
    kept: list[int] = []
    silent: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for index, example in enumerate(dataset.examples):
        try:
            samples = cache(example.path)
        except SoundError as error:
            unreadable.append((example.path, str(error)))
        else:
            if len(samples) < frontends.FRAME_LENGTH:
                unreadable.append((example.path, f"{example.path} is shorter than 25 ms: record it again"))
            else:
                kept.append(index)
                if not samples.any():
                    silent.append(example.path)
        progress(index + 1, len(dataset.examples))
    if not kept:
        raise no_readable_recordings(unreadable)
    if silent:
        logger.warning(
            "recordings without any sound: %d (the first: %s); take them away unless silence is a class",
            len(silent),
            silent[0],
        )
    return dataset.subset(kept), unreadable


def no_readable_recordings(unreadable: list[tuple[Path, str]]) -> TrainingError:
    """The error to raise where no recording at all can be read."""
    first = f" (the first: {unreadable[0][1]})" if unreadable else ""
    return TrainingError(
        f"none of the {len(unreadable)} recordings can be read{first}: check the paths and the files"
    )

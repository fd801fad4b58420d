"""Sounds of a data set, decoded once if memory allows it."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
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
"""Function that decodes a recording: a path -> 16 kHz mono float32 (n,), n at least 1. It raises `SoundError` if it can't be read or is empty."""


class SoundCache:
    """Reader with a cache: decoded sounds stay in memory up to a limit, later ones are decoded at each call.

    Training reads all sounds in each epoch, in a new order, so that replacing old ones by new ones would gain nothing. Several threads
    may call it.

    Parameters
    ----------
    reader : Reader
        Function that decodes a recording.
    limit_bytes : int
        Maximum size of the cache; 2 GiB are nine hours of sound.
    """

    def __init__(self, reader: Reader, limit_bytes: int = 2 << 30) -> None:
        self._reader = reader
        self._room = limit_bytes
        self._kept: dict[Path, Samples] = {}
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> Samples:
        """Return a recording from the cache, or decode it.

        Returns
        -------
        float32 (n,)
            Samples, 16 kHz mono, shared with later calls; do not change them.

        Raises
        ------
        SoundError
            The recording can't be read.
        """
        if (kept := self._kept.get(path)) is not None:
            return kept
        samples = self._reader(path)  # outside of the lock, because decoding is slow
        with self._lock:
            if path not in self._kept and samples.nbytes <= self._room:
                self._kept[path] = samples
                self._room -= samples.nbytes
        return samples


class RecentSounds:
    """Reader that keeps the most recent recordings, of which several parts may be read. Several threads may call it.

    Parameters
    ----------
    reader : Reader
        Function that decodes a recording.
    kept : int
        Number of recordings.
    """

    def __init__(self, reader: Reader, kept: int = 2) -> None:
        self._reader = reader
        self._most = kept
        self._recent: OrderedDict[Path, Future[Samples]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> Samples:
        """Return a recording that is kept or being decoded, or decode it. Samples and exceptions as for `SoundCache`."""
        with self._lock:
            found, future = self._recent.get(path), Future[Samples]()
            if found is None:
                self._recent[path] = future
                if len(self._recent) > self._most:
                    self._recent.popitem(last=False)
            else:
                self._recent.move_to_end(path)
        if found is not None:
            return found.result()
        try:
            future.set_result(self._reader(path))
        except BaseException as error:  # noqa: BLE001 - raised again, in each thread that waits
            future.set_exception(error)
        return future.result()


def readable(
    dataset: Dataset,
    cache: Reader,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Dataset, list[tuple[Path, str]]]:
    """Decode all recordings once, and leave out those that can't be read or are shorter than a frame of 25 ms.

    Silent recordings stay, as silence may be a class, and are counted in the log.

    Parameters
    ----------
    dataset : Dataset
        Recordings, of which some may be missing, empty or broken.
    cache : Reader
        Reader, usually a `SoundCache`, which then holds the sounds.
    progress : callable, optional
        Function that receives the number of recordings done and the total.

    Returns
    -------
    Dataset
        Recordings that can be read, with the same labels.
    list of (Path, str)
        Recordings that were left out, and the reasons.

    Raises
    ------
    TrainingError
        No recording can be read.
    """
    kept: list[int] = []
    silent: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for index, example in enumerate(dataset.examples):
        try:
            samples = example.cut(cache(example.path))
        except SoundError as error:
            unreadable.append((example.path, str(error)))
        else:
            if len(samples) < frontends.FRAME_LENGTH:
                unreadable.append((example.path, example.too_short))
            else:
                kept.append(index)
                if not samples.any():
                    silent.append(example.path)
        progress(index + 1, len(dataset.examples))
    if not kept:
        raise no_readable_recordings(unreadable)
    if silent:
        logger.warning(
            "recordings without any sound: %d (the first: %s); remove them unless silence is a class",
            len(silent),
            silent[0],
        )
    return dataset.subset(kept), unreadable


def no_readable_recordings(unreadable: list[tuple[Path, str]]) -> TrainingError:
    """Return the error for a data set without any readable recording."""
    first = f" (the first: {unreadable[0][1]})" if unreadable else ""
    return TrainingError(
        f"none of the {len(unreadable)} recordings can be read{first}: check the paths and the files"
    )

"""Other sounds: embeddings of windows that do not contain a taught sound, which a head learns to reject."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ..errors import TeachingError
from ..frontends import SAMPLE_RATE_HZ
from ..reference_audio import reference_windows
from ..training.augment import place
from ..training.background import BACKGROUNDS, windows_of
from .taught_tagger import Embedder
from .variations import in_quiet_room

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

BATCH = 8
_SEED = 0
_ASSETS = Path(__file__).parent / "assets"
_RECORDED_DB = (-12.0, 3.0)
_MIXTURES = 48
_MIXED_DB = (-20.0, 3.0)
_BACKGROUND_WINDOWS = 8
_BACKGROUND_HOP = 11 * SAMPLE_RATE_HZ
_SHORT_SECONDS = (1, 2, 3, 5, 7)
"""Lengths of short windows, as in the first seconds of a session."""
_WINDOWS_OF_EACH_LENGTH = 12
_VERSION = 1
"""Version of these windows, in the name of the cache's file."""
_RECORDING_HOP_SECONDS = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class OtherSounds:
    """Windows with other sounds.

    Attributes
    ----------
    embeddings : float32 (windows, width)
        Embeddings.
    names : tuple of str
        What the model hears in each.
    """

    embeddings: Floats
    names: tuple[str, ...]

    def __add__(self, other: Self) -> "OtherSounds":
        """Return both together."""
        return OtherSounds(np.concatenate((self.embeddings, other.embeddings)), (*self.names, *other.names))


def general_sounds(model: Embedder, progress: Progress = lambda _done, _of: None) -> OtherSounds:
    """Return sounds of all kinds: short recordings, voices, music, alarms, rooms and noise. They are embedded once for a model.

    Parameters
    ----------
    model : Embedder
        The model.
    progress : callable
        Receives the number of windows done and the total.
    """
    if not model.fingerprint:
        return embed_general_sounds(model, progress)
    cached = Path(platformdirs.user_cache_dir("earshot")) / bundled_file(model).name
    for file in (bundled_file(model), cached):
        with (
            suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
            file.open("rb") as opened,
            np.load(opened, allow_pickle=False) as saved,
        ):
            return OtherSounds(saved["embeddings"].astype(np.float32), tuple(map(str, saved["names"])))
    found = embed_general_sounds(model, progress)
    with suppress(OSError):
        save(cached, found)
    return found


def bundled_file(model: Embedder) -> Path:
    """Return the file that has the embeddings of a model, if it is one whose embeddings are bundled."""
    key = hashlib.sha256(model.fingerprint.encode()).hexdigest()[:16]
    return _ASSETS / f"other-sounds-{_VERSION}-{key}.npz"


def embed_general_sounds(model: Embedder, progress: Progress = lambda _done, _of: None) -> OtherSounds:
    """Embed the sounds of all kinds; parameters as for `general_sounds`."""
    return embed_all(model, list(_general_windows(model.window_samples)), progress)


def save(file: Path, sounds: OtherSounds) -> None:
    """Save embeddings in half precision.

    Raises
    ------
    OSError
        The file can't be written; nothing is left of it.
    """
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as output:
            np.savez_compressed(
                output, embeddings=sounds.embeddings.astype(np.float16), names=np.array(sounds.names)
            )
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def recorded_sounds(
    model: Embedder, recordings: Sequence[Floats], progress: Progress = lambda _done, _of: None
) -> OtherSounds:
    """Return all windows of recordings (n,) as other sounds; parameters as for `general_sounds`."""
    hop = round(_RECORDING_HOP_SECONDS * SAMPLE_RATE_HZ)
    windows = [
        recording[max(0, end - model.window_samples) : end]
        for recording in recordings
        for end in range(min(len(recording), model.window_samples), len(recording) + 1, hop)
    ]
    return embed_all(model, windows, progress)


def embed_all(
    model: Embedder, windows: Sequence[Floats], progress: Progress = lambda _done, _of: None
) -> OtherSounds:
    """Embed windows (n,) of any lengths; the name of each is the model's best label.

    Parameters
    ----------
    model : Embedder
        The model.
    windows : sequence of float32 (n,)
        Windows, at least one.
    progress : callable
        Receives the number of windows done and the total.

    Raises
    ------
    TeachingError
        Workers send no embeddings.
    """
    embeddings, names = [], []
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        groups = [batch] if len({len(window) for window in batch}) == 1 else [[window] for window in batch]
        for group in groups:
            scores, rows = model.scores_and_embeddings(np.stack(group))
            if not rows.size or np.isnan(rows).any():
                raise TeachingError(f"{model.engine.description} send no embeddings: update and restart them")
            embeddings.append(rows)
            names += [model.labels[int(best)] for best in scores.argmax(1)]
        progress(min(start + BATCH, len(windows)), len(windows))
    return OtherSounds(np.concatenate(embeddings), tuple(names))


def in_windows(recordings: Sequence[Floats], length: int) -> list[Floats]:
    """Return a window of this length with each recording (n,), at a random place and level, in a quiet room."""
    random = np.random.default_rng(_SEED)
    return [_in_window(recording, length, random) for recording in recordings]


def _in_window(recording: Floats, length: int, random: np.random.Generator) -> Floats:
    level = np.float32(10 ** (random.uniform(*_RECORDED_DB) / 20))
    window: Floats = in_quiet_room(place(level * recording, length, random)[None], random)[0]
    return window


def _general_windows(length: int) -> Iterator[Floats]:
    """Yield the bundled sounds, mixtures of two of them, and each kind of noise, in windows of this length."""
    random = np.random.default_rng(_SEED)
    for recording in _short_recordings():
        yield _in_window(recording, length, random)
    bundled = reference_windows(length).numpy()
    length = bundled.shape[1]
    yield from in_quiet_room(bundled, random)
    for _ in range(_MIXTURES):
        one, other = random.choice(len(bundled), 2, replace=False)
        shifted = np.roll(bundled[other], int(random.integers(length)))
        gains = 10 ** (random.uniform(*_MIXED_DB, 2) / 20)
        mixture = (gains[0] * bundled[one] + gains[1] * shifted).astype(np.float32)
        yield in_quiet_room(mixture[None], random)[0]
    for seconds in _SHORT_SECONDS:
        count = min(seconds * SAMPLE_RATE_HZ, length)
        chosen = random.choice(len(bundled), _WINDOWS_OF_EACH_LENGTH, replace=False)
        yield from in_quiet_room(bundled[chosen, :count], random)
    for name in BACKGROUNDS:
        noise = windows_of(name, _SEED, length, _BACKGROUND_HOP)
        for _, window in zip(range(_BACKGROUND_WINDOWS), noise, strict=False):
            yield window[-length:]


def _short_recordings() -> Iterator[Floats]:
    """Yield the bundled short recordings (n,); `other_sounds.csv` lists their sources."""
    import soundfile

    with zipfile.ZipFile(_ASSETS / "other_sounds.zip") as recordings:
        for name in recordings.namelist():
            sound, _ = soundfile.read(io.BytesIO(recordings.read(name)), dtype="float32")
            yield sound

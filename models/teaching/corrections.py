"""Corrections: what was taken for a sound in a room, as a head that lowers the score of that sound."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import TeachingError
from ..frontends import SAMPLE_RATE_HZ
from .examples import find_example
from .heads import Head, TrainedHead, learn
from .other_sounds import OtherSounds, embed_all, general_sounds
from .taught_sounds import Halves, TaughtHead, TaughtSound
from .taught_tagger import Embedder, lowering
from .variations import variations

Floats = NDArray[np.float32]

_MOST_WINDOWS = 16
"""Windows of a recording that a correction learns from, besides the variations: more would be nearly the same."""
_VARIATIONS = 6
_SEED = 0
_HOP_SAMPLES = SAMPLE_RATE_HZ
_NEWEST = 40
"""Recordings that a correction consists of at most; the newest count."""
_INVERSE_PENALTY = 1.0
"""Large: what is wrong in a room is always the same thing, or one of a few."""
_LOWERED = 0.5
_SAME = 0.9999
"""Cosine of the embeddings of two windows from which they are the same one."""


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """Result of a correction.

    Attributes
    ----------
    sound : TaughtSound
        The correction, with a head for one model.
    real, lowered : int
        Number of windows with the sound itself, among the sounds of all kinds, and of those that the correction lowers too.
    """

    sound: TaughtSound
    real: int
    lowered: int


def correct(
    model: Embedder,
    name: str,
    lowers: Sequence[str],
    recordings: Sequence[tuple[str, Floats]],
    before: TaughtSound | None = None,
    report: Callable[[str, int, int], None] = lambda _part, _done, _of: None,
) -> Corrected:
    """Learn what was taken for a sound.

    Parameters
    ----------
    model : Embedder
        The model.
    name : str
        Name of the sound.
    lowers : sequence of str
        Classes of the model that are the sound.
    recordings : sequence of (str, float32 (n,))
        Names and samples of the recordings in which it was not, at least one.
    before : TaughtSound, optional
        Correction that this one adds to.
    report : callable
        Receives the name of a part, the number of its windows done and the total.

    Raises
    ------
    TeachingError
        Workers send no embeddings.
    """
    random = np.random.default_rng(_SEED)
    windows = [_windows(name, samples, model.window_samples, random) for name, samples in recordings]
    embedded = embed_all(
        model, [window for group in windows for window in group], partial(report, f"teaching {model.name}")
    ).embeddings
    groups = np.split(embedded, np.cumsum([len(group) for group in windows])[:-1])
    known = before.heads.get(model.fingerprint) if before is not None else None
    others = general_sounds(model, partial(report, f"other sounds for {model.name}, once"))
    head = _head(model, groups, known, others)
    is_real = np.isin(others.names, list(lowers))
    factors = lowering((head.head, *head.further), others.embeddings[is_real])
    sound = TaughtSound(
        name=name,
        examples=len(head.windows),
        taught_at=datetime.now(UTC).replace(microsecond=0),
        heads={**(before.heads if before is not None else {}), model.fingerprint: head},
        lowers=tuple(lowers),
    )
    return Corrected(sound, int(is_real.sum()), int((factors < _LOWERED).sum()))


def live_windows(samples: Floats, length: int) -> list[Floats]:
    """Return the windows of a recording (n,) that a stream has, a second apart; the recording itself if it is shorter than one."""
    if len(samples) <= length:
        return [samples]
    return [samples[end - length : end] for end in range(length, len(samples) + 1, _HOP_SAMPLES)]


def _windows(name: str, samples: Floats, length: int, random: np.random.Generator) -> list[Floats]:
    """Return the windows of a recording, and variations of the sound in it."""
    windows = live_windows(samples, length)
    if len(windows) > _MOST_WINDOWS:
        windows = [windows[at] for at in np.linspace(0, len(windows) - 1, _MOST_WINDOWS).round().astype(int)]
    with suppress(TeachingError):  # such as a silent one, in which there is nothing to find
        example = find_example(name, samples, length)
        windows.extend(variations(example.samples, length, _VARIATIONS, random))
    return windows


def correction_heads(groups: Sequence[Floats], others: OtherSounds) -> tuple[Head, ...]:
    """Learn the heads of a correction from the windows (n, width) of each recording: one for all together, then one for each."""
    together = _trained(groups, others)
    return (together.head, *(_trained([group], others).head for group in groups))


def _head(
    model: Embedder, groups: Sequence[Floats], known: TaughtHead | None, others: OtherSounds
) -> TaughtHead:
    """Learn a head for all recordings together, and one for each, because they may be of several things."""
    recordings = [] if known is None else list(zip(known.windows, known.further, strict=False))
    for group in groups:
        rows = group.astype(np.float16)
        recordings = [(before, own) for before, own in recordings if not _is_same(before, rows)]
        recordings.append((rows, _trained([group], others).head))
    windows, own = zip(*recordings[-_NEWEST:], strict=True)
    together = _trained([rows.astype(np.float32) for rows in windows], others)
    return TaughtHead(
        fingerprint=model.fingerprint,
        model=model.name,
        head=together.head,
        recall=together.recall,
        others=len(others.names),
        windows=windows,
        further=own,
    )


def _is_same(rows: Halves, others: Halves) -> bool:
    """Return True for the windows of the same recording; its variations are others each time, its first window is not."""
    if len(rows) != len(others):
        return False
    first, other = rows[0].astype(np.float32), others[0].astype(np.float32)
    return float(first @ other) >= _SAME * float(np.linalg.norm(first) * np.linalg.norm(other))


def _trained(rows: Sequence[Floats], others: OtherSounds) -> TrainedHead:
    return learn(_examples(rows), others.embeddings, inverse_penalties=(_INVERSE_PENALTY,))


def _examples(rows: Sequence[Floats]) -> list[Floats]:
    """Return the windows of each recording, or of two halves of a single one: an example is left out to place the threshold."""
    if len(rows) > 1:
        return list(rows)
    (only,) = rows
    return [only[::2], only[1::2]] if len(only) > 1 else [only, only]

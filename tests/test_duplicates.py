"""Duplicates: one recording is recognised in another encoding, length or level, and other recordings are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import frontends
from models.training.duplicates import Recordings
from models.training.library import OFFSET

pytestmark = pytest.mark.usefixtures("one_thread")

Floats = NDArray[np.float32]


def phrase(seed: int) -> Floats:
    """A melody of ten tones with a noise on each: two seconds."""
    random = np.random.default_rng(seed)
    time = np.arange(3200) / 16_000
    tones = [np.sin(2 * np.pi * random.uniform(200, 6000) * time) for _ in range(10)]
    noise = 0.3 * random.standard_normal((10, 3200)) * random.uniform(0, 1, (10, 1))
    fading = np.exp(-time * 12)
    return (0.3 * (np.stack(tones) + noise) * fading).ravel().astype(np.float32)


def logarithms(sound: Floats) -> Tensor:
    return (frontends.fbank(torch.from_numpy(sound)).exp() + OFFSET).log()


def encoded(sound: Floats) -> Floats:
    file = io.BytesIO()
    soundfile.write(file, sound, 16_000, format="OGG", subtype="OPUS")
    file.seek(0)
    samples: Floats = soundfile.read(file, dtype="float32")[0]
    return samples[: len(sound)]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda sound: sound, True),
        (lambda sound: 0.3 * sound, True),
        (encoded, True),
        (lambda sound: np.pad(sound, (8_000, 0)), True),
        (lambda sound: sound[:13_000], True),
        (lambda sound: encoded(sound[12_345:]), True),
        (lambda sound: np.concatenate([phrase(7), encoded(sound), phrase(8)]), True),
        (lambda sound: sound[::-1].copy(), False),
        (lambda _sound: phrase(1), False),
        (lambda _sound: np.zeros(16_000, np.float32), False),
    ],
)
def test_a_recording_is_recognised_however_it_was_encoded_and_cut(
    change: Callable[[Floats], Floats], same: bool
) -> None:
    recordings = Recordings([logarithms(change(phrase(0)))])
    assert [recordings.are_in(logarithms(phrase(seed))) for seed in (2, 0, 3)] == [False, same, False]


def drips(seed: int) -> Floats:
    """Ten seconds of drops at random times, each with a tone of its own, in noise: no onset, and the same everywhere."""
    random, time = np.random.default_rng(seed), np.arange(1_600) / 16_000
    sound = 0.01 * random.standard_normal(160_000)
    for at in random.integers(0, 158_000, 200):
        tone = np.sin(2 * np.pi * random.uniform(300, 6_000) * time)
        sound[at : at + 1_600] += random.uniform(0.1, 1.0) * np.exp(-60 * time) * tone
    return sound.astype(np.float32)


@pytest.mark.parametrize(("seconds", "found"), [(0.4, False), (0.8, True), (5.0, True)])
def test_a_piece_from_the_middle_of_a_recording_is_recognised_if_it_is_not_too_short(
    seconds: float, found: bool
) -> None:
    piece = drips(0)[30_000 : 30_000 + round(seconds * 16_000)]
    recordings = Recordings([logarithms(encoded(piece))])
    assert [recordings.are_in(logarithms(drips(seed))) for seed in range(4)] == [found, False, False, False]


def test_without_recordings_none_is_found() -> None:
    assert not Recordings([]).are_in(logarithms(phrase(0)))


def test_a_very_short_sound_is_compared_with_longer_recordings() -> None:
    recordings = Recordings([logarithms(phrase(0)), logarithms(phrase(1)[:4_000])])
    assert not recordings.are_in(logarithms(phrase(2)[:1_600]))
    assert recordings.are_in(logarithms(phrase(1)[:4_000]))

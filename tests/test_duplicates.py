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
from models.training.duplicates import duplicates, fingerprint
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
        (lambda sound: sound[::-1].copy(), False),
        (lambda _sound: phrase(1), False),
        (lambda _sound: np.zeros(16_000, np.float32), False),
    ],
)
def test_a_recording_is_recognised_however_it_was_encoded_and_shortened(
    change: Callable[[Floats], Floats], same: bool
) -> None:
    ours = [fingerprint(logarithms(phrase(seed))) for seed in (2, 0, 3)]
    found = duplicates(ours, [logarithms(change(phrase(0)))])
    assert found.tolist() == [False, same, False]


def test_without_other_sounds_there_are_no_duplicates() -> None:
    assert duplicates([fingerprint(logarithms(phrase(0)))], []).tolist() == [False]


def test_many_sounds_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.duplicates._TOGETHER", 20)
    ours = [fingerprint(logarithms(phrase(seed))) for seed in range(4)]
    others = [logarithms(phrase(seed)) for seed in (9, 2, 8, 3)]
    assert duplicates(ours, others).tolist() == [False, False, True, True]

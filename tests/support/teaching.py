"""A small model to teach, its examples, and recordings for the command that teaches."""

import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.teaching.examples import Example
from models.teaching.heads import Head
from models.teaching.other_sounds import OtherSounds, embed_all
from models.teaching.taught_sounds import TaughtHead, TaughtSound
from models.teaching.variations import variations
from support.program import command

RATE = 16_000
WINDOW = 2 * RATE

Floats = NDArray[np.float32]


class Model:
    """Model whose embedding is the share of energy in 32 bands of the window."""

    name, fingerprint, labels, thresholds = "bands", "b" * 32, ("Speech", "Bell"), None
    window_samples = WINDOW
    engine = SimpleNamespace(description="none")

    def __init__(self, speech: float = 0.0) -> None:
        self._speech = speech

    def __call__(self, samples: Any) -> Floats:
        return self.scores_and_embeddings(samples)[0]

    def scores_and_embeddings(self, samples: Any) -> tuple[Floats, Floats]:
        assert np.shape(samples)[1] <= self.window_samples, "as checked_windows says"
        spectrum = np.abs(np.fft.rfft(samples, 2 * RATE)[:, 1 : 32 * 480 + 1]) ** 2
        bands = spectrum.reshape(len(samples), 32, 480).mean(2)
        bands = np.log(bands / bands.sum(1, keepdims=True).clip(1e-9) + 0.01)
        scores = np.tile(np.array([self._speech, 0.1], np.float32), (len(samples), 1))
        return scores, bands.astype(np.float32)


def ring(hertz: float, seconds: float = 0.5, seed: int = 0) -> Floats:
    """Return a decaying tone with a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time)) * 0.003
    return (0.4 * np.sin(2 * np.pi * hertz * time) * np.exp(-3 * time) + noise).astype(np.float32)


@lru_cache
def other_sounds() -> OtherSounds:
    random = np.random.default_rng(1)
    hertz = [float(pitch) for pitch in random.uniform(300, 7000, 150) if not 700 < pitch < 1300]
    windows = [variations(ring(pitch, seed=seed), WINDOW, 1, random)[0] for seed, pitch in enumerate(hertz)]
    return embed_all(Model(), windows)


def examples(hertz: float = 1000.0, count: int = 5) -> list[Example]:
    return [Example(f"{number}.wav", ring(hertz + 8 * number, seed=100 + number)) for number in range(count)]


def taught(name: str = "Our doorbell", fingerprint: str = "b" * 32) -> TaughtSound:
    head = TaughtHead(
        fingerprint=fingerprint,
        model="bands",
        head=Head(np.linspace(-0.02, 0.01, 32, dtype=np.float32), 0.25),
        recall=0.8,
        others=300,
    )
    return TaughtSound(
        name=name, examples=5, taught_at=datetime(2026, 5, 1, tzinfo=UTC), heads={fingerprint: head}
    )


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def chime(path: Path, seed: int) -> str:
    """Write a recording of an electronic chime in a quiet room; return its path."""
    random = np.random.default_rng(seed)
    sound = random.standard_normal(4 * RATE) * 0.0005
    for number, hertz in enumerate((988.0, 784.0, 1175.0)):
        time = np.arange(RATE // 2) / RATE
        start = RATE + number * RATE // 2 + int(random.integers(RATE // 50))
        partials = sum(np.sin(2 * np.pi * hertz * factor * time) / factor for factor in (1, 2, 3))
        sound[start : start + len(time)] += 0.2 * random.uniform(0.7, 1.2) * partials * np.exp(-4 * time)
    soundfile.write(path, sound.astype(np.float32), RATE)
    return str(path)

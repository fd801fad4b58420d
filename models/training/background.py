"""False alarms of a model on background noise: silence, hiss, hum, wind and a fan, rendered for any length.

A live tagger gets such sounds most of the time. Its false detections are counted through the `Tagger`, with sliding windows as in the live
program.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import frontends
from .agreement import Scorer

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]

BLOCK = frontends.SAMPLE_RATE_HZ
"""Number of samples in a block: 1 s, which holds whole periods of a tone of whole hertz."""
DEFAULT_THRESHOLD = 0.3
"""Detection threshold for a model without thresholds."""
HOP_SECONDS = 5.0

_FORM_SECONDS = 30
"""Seconds between changes of a background's form."""
_HERTZ = np.maximum(np.fft.rfftfreq(2 * BLOCK, 1 / frontends.SAMPLE_RATE_HZ), 20.0)
"""Frequency of each component of a noise, at least 20 Hz, so that inaudible components are not louder than audible ones."""
_SECOND = np.arange(BLOCK) / BLOCK
_FADE = np.sin(np.pi * (np.arange(2 * BLOCK) + 0.5) / (2 * BLOCK))
"""Window of a noise block; two that overlap by half sum to constant power."""
_NOISES = frozenset({"Silence", "Noise", "White noise", "Pink noise", "Static", "Environmental noise"})
"""Labels that are right for any steady noise, even a faint one."""


def _silence(_random: np.random.Generator) -> Iterator[Doubles]:
    """Render digital silence."""
    while True:
        yield np.zeros(BLOCK)


def _hiss(random: np.random.Generator) -> Iterator[Doubles]:
    """Render white and pink noise at -55 and -35 dBFS, by turns."""
    white, pink = np.ones_like(_HERTZ), _HERTZ**-0.5
    forms = [_at_level(colour, dbfs) for dbfs in (-55.0, -35.0) for colour in (white, pink)]
    return _noise(random, (forms[second // _FORM_SECONDS % len(forms)] for second in count()))


def _hum(random: np.random.Generator) -> Iterator[Doubles]:
    """Render mains hum: 50 Hz and nine harmonics, from -50 to -30 dBFS and back in two minutes, and pink noise 20 dB below."""
    harmonics = np.arange(1, 11)
    pink = _HERTZ**-0.5

    def dbfs(second: int) -> float:
        return float(-40 - 10 * np.cos(2 * np.pi * second / 120))

    def amplitudes() -> Iterator[Doubles]:
        for turn in count():
            shape = random.uniform(0.2, 1.0, len(harmonics)) / harmonics
            shape *= np.sqrt(2 / np.square(shape).sum())
            for second in range(turn * _FORM_SECONDS, (turn + 1) * _FORM_SECONDS):
                yield shape * 10 ** (dbfs(second) / 20)

    noise = _noise(random, (_at_level(pink, dbfs(second) - 20) for second in count()))
    return map(np.add, _tones(50 * harmonics, amplitudes()), noise)


def _wind(random: np.random.Generator) -> Iterator[Doubles]:
    """Render low noise in gusts around -40 dBFS; stronger gusts are louder and brighter."""

    def gusts() -> Iterator[Doubles]:
        strength = 0.0
        while True:
            strength = float(np.clip(0.9 * strength + 0.436 * random.standard_normal(), -2.5, 2.5))
            cutoff_hz = 200 * 2**strength
            yield _at_level(_HERTZ**-0.5 / (1 + (_HERTZ / cutoff_hz) ** 2), -40 + 7 * strength)

    return _noise(random, gusts())


def _fan(random: np.random.Generator) -> Iterator[Doubles]:
    """Render a fan of seven blades at three speeds, by turns: broad noise, and tones of the shaft and the blades 8 dB below."""
    shafts_hz, orders, dbfs = (18, 22, 27), np.array([1, 7, 14, 21, 28]), (-48.0, -42.0, -36.0)
    shares = np.array([0.4, 1.0, 0.5, 0.3, 0.2])
    air = _HERTZ**-0.5 / np.sqrt(1 + (_HERTZ / 2000) ** 2)

    def speed(second: int) -> int:
        return second // _FORM_SECONDS % len(shafts_hz)

    def amplitudes() -> Iterator[Doubles]:
        for second in count():
            tones = np.zeros((len(shafts_hz), len(orders)))
            tones[speed(second)] = shares * np.sqrt(2 / np.square(shares).sum())
            yield tones.ravel() * 10 ** ((dbfs[speed(second)] - 8) / 20)

    noise = _noise(random, (_at_level(air, dbfs[speed(second)]) for second in count()))
    return map(np.add, _tones(np.outer(shafts_hz, orders).ravel(), amplitudes()), noise)


def _at_level(colour: Doubles, dbfs: float) -> Doubles:
    """Scale a noise's amplitudes at `_HERTZ` so that its RMS level is `dbfs`."""
    scaled: Doubles = colour / np.sqrt(np.square(colour).mean()) * 10 ** (dbfs / 20)
    return scaled


def _noise(random: np.random.Generator, colours: Iterator[Doubles]) -> Iterator[Doubles]:
    """Yield Gaussian noise whose amplitudes at `_HERTZ` fade from each of `colours` to the next in a second."""
    tail: Doubles | None = None
    for colour in colours:
        frame = np.fft.irfft(np.fft.rfft(random.standard_normal(2 * BLOCK)) * colour) * _FADE
        if tail is not None:
            yield tail + frame[:BLOCK]
        tail = frame[BLOCK:]


def _tones(hertz: NDArray[np.int64], amplitudes: Iterator[Doubles]) -> Iterator[Doubles]:
    """Yield sines of whole hertz (n,) whose amplitudes (n,) fade from each of `amplitudes` to the next in a second."""
    starts = 0.618 * np.arange(len(hertz))  # in cycles, different so that the peaks don't add up
    sines = np.sin(2 * np.pi * (np.outer(hertz, _SECOND) + starts[:, None]))  # (n, BLOCK)
    before = next(amplitudes) @ sines
    for following in amplitudes:
        after = following @ sines
        yield before + (after - before) * _SECOND
        before = after


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Endless background sound.

    Attributes
    ----------
    names : frozenset of str
        AudioSet's display names that are right for it; all others are false.
    render : callable
        Function of a random generator that yields endless blocks of 1 s at 16 kHz.
    """

    names: frozenset[str]
    render: Callable[[np.random.Generator], Iterator[Doubles]]


BACKGROUNDS = {
    "silence": Background(names=frozenset({"Silence"}), render=_silence),
    "hiss": Background(names=_NOISES | {"Hiss"}, render=_hiss),
    "hum": Background(
        names=_NOISES | {"Hum", "Mains hum", "Buzz", "Sine wave", "Harmonic", "Throbbing", "Vibration"},
        render=_hum,
    ),
    "wind": Background(
        names=_NOISES | {"Wind", "Wind noise (microphone)", "Outside, rural or natural", "Rumble"},
        render=_wind,
    ),
    "fan": Background(
        names=_NOISES
        | {"Mechanical fan", "Air conditioning", "Mechanisms", "Hum", "Whir", "Throbbing", "Vibration"},
        render=_fan,
    ),
}


def windows_of(name: str, seed: int, window_samples: int, hop_samples: int) -> Iterator[Floats]:
    """Cut a background into windows as the live program does.

    Parameters
    ----------
    name : str
        Name in `BACKGROUNDS`.
    seed : int
        Seed of the sound.
    window_samples, hop_samples : int
        Maximum number of samples in a window, and number of samples between the ends of windows.

    Yields
    ------
    float32 (n,)
        Windows, without end; the first ones are shorter.
    """
    random = np.random.default_rng((seed, list(BACKGROUNDS).index(name)))
    blocks = BACKGROUNDS[name].render(random)
    latest, rendered = np.empty(0, np.float32), 0
    for end in count(hop_samples, hop_samples):
        while rendered < end:
            block = next(blocks).astype(np.float32)
            latest = np.concatenate((latest[-window_samples:], block))
            rendered += BLOCK
        yield latest[: len(latest) - (rendered - end)][-window_samples:]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FalseAlarms:
    """False alarms of a model on a background.

    Attributes
    ----------
    label, score : str, float
        Wrong class with the highest score, and that score.
    windows : int
        Number of windows scored.
    false_events_per_hour : float
        Number of times per hour that the score of a wrong class rises to its threshold.
    highest : float32 (classes,)
        Highest score of each wrong class; 0 for the right ones.
    """

    label: str
    score: float
    windows: int
    false_events_per_hour: float
    highest: Floats


def measure_background(
    tagger: Scorer,
    seconds: float,
    *,
    thresholds: Floats | None = None,
    hop_seconds: float = HOP_SECONDS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, FalseAlarms]:
    """Measure the false alarms of a model on each background.

    Parameters
    ----------
    tagger : Scorer
        `Tagger` with AudioSet's classes.
    seconds : float
        Length of each background.
    thresholds : float32 (classes,), optional
        Detection thresholds; 0.3 for all classes by default.
    hop_seconds : float
        Seconds between windows; the first windows are shorter, as in the first seconds of a session.
    seed : int
        Seed of the sounds.
    progress : callable, optional
        Function that receives the number of windows done and the total.

    Raises
    ------
    ValueError
        The hop is shorter than a frame, or longer than the background.
    """
    hop_samples = round(hop_seconds * frontends.SAMPLE_RATE_HZ)
    windows = int(seconds / hop_seconds + 1e-9) if hop_samples >= frontends.FRAME_LENGTH else 0
    if not windows:
        raise ValueError(f"a hop must last 0.025 to {seconds:g} s, not {hop_seconds:g}")
    if thresholds is None:
        thresholds = np.full(len(tagger.labels), DEFAULT_THRESHOLD, np.float32)
    results = {}
    for number, (name, background) in enumerate(BACKGROUNDS.items()):
        unrelated = np.array([label not in background.names for label in tagger.labels])
        highest, active, events = np.zeros(len(unrelated), np.float32), np.zeros_like(unrelated), 0
        sounds = windows_of(name, seed, tagger.window_samples, hop_samples)
        for done, samples in zip(range(windows), sounds, strict=False):
            scores = tagger(samples)[0] * unrelated
            rises = (scores >= thresholds) & unrelated
            events += int((rises & ~active).sum())
            active, highest = rises, np.maximum(highest, scores)
            progress(number * windows + done + 1, len(BACKGROUNDS) * windows)
        best = int(highest.argmax())
        results[name] = FalseAlarms(
            label=tagger.labels[best],
            score=float(highest[best]),
            windows=windows,
            false_events_per_hour=events / (windows * hop_seconds / 3600),
            highest=highest,
        )
    return results

"""Settings of a distillation."""

import math
from dataclasses import dataclass

from ..errors import TrainingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of a step.

    Attributes
    ----------
    rows : int
        Number of rows in a window: a multiple of 16, 100 a second.
    share : float
        Share of the patches that the student sees, above 0 up to 1.
    batch : int
        Number of windows.
    ending_early : float
        Share of the windows that end early and are padded, as the live program pads the first seconds of a session.
    alone : float
        Share of the windows with one clip alone, from its beginning and padded, as a short file is heard; below 1, and with `ending_early` at most 1.
    """

    rows: int
    share: float
    batch: int
    ending_early: float = 0.0
    alone: float = 0.0


SHORT = Windows(rows=256, share=0.4, batch=64)
WHOLE = Windows(rows=1024, share=0.25, batch=16, ending_early=0.25, alone=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """Settings of the mixtures, and of the room and the microphone that the student hears them through.

    Attributes
    ----------
    sounds : tuple of float
        Probabilities of 1, 2, … clips in a window.
    first_gain_db, other_gain_db : (float, float)
        Range of the gain of a window's first clip and of the others.
    factors : tuple of float
        Factors, other than 1, of the pitch and the pace of clips.
    changed : float
        Probability that a clip has another pitch, and that it has another pace.
    filtered_db : float
        Highest gain and loss of a window at some frequencies, which the teacher hears too.
    repeated : float
        Probability that a clip that is shorter than a third of the window is repeated.
    repeats : (int, int)
        Range of how often it is then heard.
    noisy : float
        Probability of noise.
    noise_gain_db : (float, float)
        Range of the gain of noise with an RMS of 0.1.
    colour_db : float
        Highest gain and loss of the microphone at some frequencies.
    colour_points : int
        Number of these frequencies.
    reverberant : float
        Probability that half of a batch is reverberant.
    decay_seconds : (float, float)
        Range of the time in which a reverberation falls by 60 dB.
    reverberation_rows : int
        Maximum length of a reverberation in rows.
    wet : (float, float)
        Range of the reverberation's share of the energy.
    shortest_rows : int
        Minimum number of rows before the padding of a window that ends early.
    """

    sounds: tuple[float, ...] = (0.5, 0.33, 0.17)
    first_gain_db: tuple[float, float] = (-8.7, 3.0)
    other_gain_db: tuple[float, float] = (-12.2, 3.0)
    factors: tuple[float, ...] = (0.7, 0.8, 0.9, 1.1, 1.25, 1.4)
    changed: float = 0.5
    filtered_db: float = 6.0
    repeated: float = 0.35
    repeats: tuple[int, int] = (2, 4)
    noisy: float = 0.8
    noise_gain_db: tuple[float, float] = (-55.0, -10.0)
    colour_db: float = 5.2
    colour_points: int = 6
    reverberant: float = 0.5
    decay_seconds: tuple[float, float] = (0.1, 0.8)
    reverberation_rows: int = 80
    wet: tuple[float, float] = (0.1, 0.7)
    shortest_rows: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilRecipe:
    """Settings of a distillation.

    Attributes
    ----------
    steady : tuple of Windows
        Windows of the steps at the steady rate, in turn. Short windows teach four times as fast; whole ones among them keep the network used
        to its full length and to padding.
    last : tuple of Windows
        Windows of the last half of `finish`, in turn.
    mixing : Mixing
        Settings of the mixtures.
    rate : float
        Learning rate of Muon.
    rate_of_others : float
        Learning rate of AdamW, as a multiple of `rate`.
    middle_rate : float
        Learning rate in the middle of `finish`, as a multiple of `rate`; at its end it is 0.
    warm_up_steps : int
        Number of steps in which the rate rises at the start of a run.
    weight_decay, weight_decay_of_others : float
        Weight decay of Muon and of AdamW.
    momentum : float
        Momentum of Muon.
    betas : (float, float)
        Decay of AdamW's means.
    clip_norm : float
        Largest norm of the gradient of AdamW's parameters.
    embedding_weight, features_weight : float
        Weights of the mean squared errors of embedding and features in time beside the sum of the cross entropies of all classes.
    average_decay : float
        Highest decay of the moving average of the weights at a step.
    average_share : float
        Share of the steps that the average reaches back over until that decay.

    Raises
    ------
    TrainingError
        The rate is not a number above 0.
    """

    steady: tuple[Windows, ...] = (SHORT,) * 7 + (WHOLE,)
    last: tuple[Windows, ...] = (Windows(rows=1024, share=0.3, batch=16, ending_early=0.25, alone=0.5),)
    mixing: Mixing = Mixing()
    rate: float = 1e-3
    rate_of_others: float = 0.5
    middle_rate: float = 0.3
    warm_up_steps: int = 200
    weight_decay: float = 0.05
    weight_decay_of_others: float = 0.02
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 5.0
    embedding_weight: float = 5.0
    features_weight: float = 5.0
    average_decay: float = 0.9998
    average_share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < math.inf:
            raise TrainingError(
                f"the learning rate must be above 0, not {self.rate:g}: give --rate 4e-4 or so"
            )

    def rate_at(self, steps: int, first: float, last: float, progress: float) -> float:
        """Return the rate after `steps` steps of a run, `progress` (0..1) of the way along half a cosine from `first` to `last`."""
        falling = last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))
        return falling * min(1.0, (steps + 1) / self.warm_up_steps)

    def kept(self, averaged: int) -> float:
        """Return the decay of the average after it has taken in the weights of `averaged` steps."""
        return min(self.average_decay, 1 - 1 / (1 + averaged * self.average_share))

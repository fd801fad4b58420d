"""Recipes for fine-tuning: every setting of a training as plain values, and named sets of them."""

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ..errors import TrainingError

Loss: TypeAlias = Literal["auto", "cross-entropy", "binary"]
Optimizer: TypeAlias = Literal["adam", "muon"]

_HEAD_EPOCHS = 5
"""Epochs of a training of the head alone."""
_SHARES = ("mixup", "mask_share", "patch_drop", "noise", "placement", "label_smoothing")


@dataclass(frozen=True, slots=True)
class StepDecay:
    """Learning rate that falls at some epochs, as in `torch.optim.lr_scheduler.MultiStepLR`.

    Attributes
    ----------
    after : int
        Number of epochs before the first fall.
    every : int
        Number of epochs between falls.
    factor : float
        Factor of each fall.
    """

    after: int
    every: int
    factor: float

    def __call__(self, epoch: int) -> float:
        """Return the factor of the rate in epoch number `epoch`, from 0."""
        return float(self.factor ** max(0, 1 + (epoch - self.after) // self.every))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of a training.

    Attributes
    ----------
    init : str
        Starting point, as for `transfer.starting_point`.
    epochs : int
        Number of passes through the data.
    least_steps : int
        Minimum number of steps; a small data set gets more epochs to reach it.
    batch : int
        Number of windows in a step.
    rate : float
        Highest learning rate.
    head_rate_factor : float
        Factor of the learning rate of the head, which starts with random weights.
    warm_up_steps : int
        Number of steps in which the rate rises from 0, at most a tenth of all.
    step_decay : StepDecay or None
        Decay of the rate; None for half a cosine, to 0.
    optimizer : {"adam", "muon"}
        Optimizer of the blocks' matrices; all other parameters use Adam. Muon needs fewer epochs for a network that isn't large.
    betas, weight_decay : (float, float), float
        Parameters of Adam; the decay applies to Muon too.
    clip_norm : float or None
        Limit of the gradient's norm.
    loss : {"auto", "cross-entropy", "binary"}
        Loss; auto takes binary cross entropy if recordings may have several labels.
    label_smoothing : float
        Share of the target spread over all classes, in cross entropy.
    mixup : float
        Share of the windows that are mixed with another.
    mask_bins, mask_share : int, float
        Widest mask over mel bins, and over rows as a share of them.
    probe : bool
        True to fit the head alone first.
    head_only : bool
        True to fit only the head, on windows with the recipe's augmentation; rate, optimizer and dropped patches don't apply.
    patch_drop : float
        Share of a window's patches that is dropped at random, below 1.
    noise : float
        Share of the windows that get noise.
    gain : bool
        True to vary levels.
    placement : float
        Share of the windows with the sound at a random place, as in a live stream; the others begin with the recording.
    balanced : bool
        True to draw recordings of rare classes as often as those of others.
    average_from : int or None
        Epoch, from 1, from whose end on the weights are averaged.
    patience : int or None
        Number of epochs without progress after which training stops.
    patience_grows : bool
        True if the patience grows with the epochs of a small data set; False for a number that the user chose.
    window_seconds : float or None
        Length of a window; None derives it from the data.
    mean, std : float or None
        Normalisation; None takes that of `init`.
    """

    init: str
    epochs: int
    batch: int
    rate: float
    least_steps: int = 0
    head_rate_factor: float = 1.0
    warm_up_steps: int = 0
    step_decay: StepDecay | None = None
    optimizer: Optimizer = "adam"
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 5e-7
    clip_norm: float | None = None
    loss: Loss = "auto"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    mask_bins: int = 0
    mask_share: float = 0.0
    probe: bool = False
    head_only: bool = False
    patch_drop: float = 0.0
    noise: float = 0.0
    gain: bool = False
    placement: float = 0.0
    balanced: bool = False
    average_from: int | None = None
    patience: int | None = None
    patience_grows: bool = True
    window_seconds: float | None = None
    mean: float | None = None
    std: float | None = None

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1:
            raise TrainingError("epochs and batch size must be at least 1: give a higher --epochs or --batch")
        if not (0 < self.rate < math.inf and 0 < self.head_rate_factor < math.inf):
            raise TrainingError(
                f"the learning rate must be above 0, not {self.rate:g}: give --rate 1e-4 or so"
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(
                    f"{name.replace('_', ' ')} must be a share from 0 to 1, not {getattr(self, name):g}"
                )
        if self.patch_drop == 1:
            raise TrainingError("patch drop must be below 1: give a share such as 0.5")
        if any(value is not None and value < 1 for value in (self.average_from, self.patience)):
            raise TrainingError("the first epoch of averaging and the patience must be at least 1")

    def with_epochs(self, epochs: int) -> "Recipe":
        """Return the recipe for another number of epochs: averaging begins at the same share of them, and patience may grow with them."""
        stretch = epochs / self.epochs
        more_patience = max(1.0, stretch) if self.patience_grows else 1.0
        return replace(
            self,
            epochs=epochs,
            average_from=None if self.average_from is None else math.ceil(stretch * self.average_from),
            patience=None if self.patience is None else math.ceil(more_patience * self.patience),
        )

    def with_head_only(self) -> "Recipe":
        """Return the recipe for a training of the head alone: a few epochs, without an average of weights."""
        return replace(
            self,
            head_only=True,
            epochs=_HEAD_EPOCHS,
            least_steps=0,
            average_from=None,
            patience=None,
        )

    def for_steps(self, steps: int) -> "Recipe":
        """Return the recipe for a number of steps an epoch: a small data set gets more epochs."""
        return self.with_epochs(max(self.epochs, math.ceil(self.least_steps / steps)))

    def share_of_rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the current share of the highest rate.

        Parameters
        ----------
        epoch, step : int
            Number of completed epochs, and of steps done in the current one.
        steps : int
            Number of steps in an epoch.
        """
        done, total = epoch * steps + step, self.epochs * steps
        warm_up = min(1.0, (done + 1) / max(1, min(self.warm_up_steps, total // 10)))
        if self.step_decay is not None:
            return warm_up * self.step_decay(epoch)
        return warm_up * 0.5 * (1 + math.cos(math.pi * done / total))


RECIPES = {
    "default": Recipe(
        init="tiny",
        epochs=10,
        least_steps=500,
        batch=16,
        rate=7e-4,
        warm_up_steps=50,
        optimizer="muon",
        betas=(0.9, 0.999),
        clip_norm=2.0,
        probe=True,
        patch_drop=0.5,
        mask_bins=24,
        mask_share=0.1,
        noise=0.5,
        gain=True,
        placement=0.5,
        balanced=True,
        average_from=8,
        patience=5,
    ),
    "esc50": Recipe(
        init="base",
        epochs=25,
        batch=48,
        rate=1e-5,
        step_decay=StepDecay(after=5, every=1, factor=0.85),
        mask_bins=24,
        mask_share=96 / 512,
        window_seconds=5.12,
        mean=-6.6268077,
        std=5.358466,
    ),
    "audioset-balanced": Recipe(
        init="imagenet",
        epochs=25,
        batch=12,
        rate=5e-5,
        warm_up_steps=1000,
        step_decay=StepDecay(after=10, every=5, factor=0.5),
        loss="binary",
        mixup=0.5,
        mask_bins=48,
        mask_share=192 / 1024,
        average_from=6,
        window_seconds=10.24,
    ),
    "audioset": Recipe(
        init="imagenet",
        epochs=5,
        batch=12,
        rate=1e-5,
        warm_up_steps=1000,
        step_decay=StepDecay(after=2, every=1, factor=0.5),
        loss="binary",
        mixup=0.5,
        mask_bins=48,
        mask_share=192 / 1024,
        balanced=True,
        average_from=1,
        window_seconds=10.24,
    ),
    "speech-commands": Recipe(
        init="imagenet",
        epochs=30,
        batch=128,
        rate=2.5e-4,
        step_decay=StepDecay(after=5, every=1, factor=0.85),
        loss="binary",
        mixup=0.6,
        mask_bins=48,
        mask_share=48 / 128,
        noise=1.0,
        window_seconds=1.28,
        mean=-6.845978,
        std=5.5654526,
    ),
}
"""Recipes by name. ``default`` is for your own folders. The others are those of AST's authors (Gong et al. 2021, and their published
scripts); they add noise to the features of Speech Commands and shift them, here noise is added to the sound instead."""


def recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises
    ------
    TrainingError
        There is no such recipe.
    """
    if name not in RECIPES:
        raise TrainingError(f"there is no recipe '{name}': give one of {', '.join(RECIPES)}")
    return RECIPES[name]

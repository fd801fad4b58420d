"""Training batches made from recordings.

All randomness comes from the seed, the number of the epoch and that of the step, so that a resumed training gets the same batches.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler

from .. import frontends
from ..checkpoints import Checkpoint
from ..network_spec import NetworkConfig
from .augment import add_noise, mask_rows, mix_up, place, random_gain
from .dataset import Dataset, Indices, Reader, Samples
from .recipes import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Training data of a step.

    Attributes
    ----------
    rows : float32 tensor (batch, rows, bins)
        Normalised log-mel rows.
    targets : float32 tensor (batch, classes)
        Targets in 0..1.
    seed : int
        Seed of the randomness in the network.
    """

    rows: Tensor
    targets: Tensor
    seed: int


class Batches:
    """Batches of a training.

    Parameters
    ----------
    dataset : Dataset
        Recordings to train on.
    sounds : Reader
        Function that decodes a recording; called from several threads.
    recipe : Recipe
        Settings of sampling and augmentation.
    network : Checkpoint
        Checkpoint that sets geometry and normalisation of the rows.
    seed : int
        Seed of all randomness.

    Attributes
    ----------
    steps : int
        Number of batches in an epoch. The last one may be smaller.
    """

    def __init__(
        self, dataset: Dataset, sounds: Reader, recipe: Recipe, network: Checkpoint, seed: int
    ) -> None:
        self.steps = -(-len(dataset.examples) // recipe.batch)
        self._dataset, self._sounds, self._recipe, self._network = dataset, sounds, recipe, network
        self._seed = seed
        self._targets = dataset.targets()
        self._weights = example_weights(dataset)
        self._order: tuple[int, Indices] = (-1, np.empty(0, np.int64))

    def __call__(self, epoch: int, step: int) -> Batch:
        """Make the batch of a step of an epoch, both counted from 0."""
        recipe, size = self._recipe, self._recipe.batch
        chosen = self._indices(epoch)[step * size : (step + 1) * size]
        random = np.random.default_rng((self._seed, epoch, step))
        windows = [self._window(int(index), random) for index in chosen]
        samples = torch.from_numpy(np.stack([window for window, _ in windows]))
        rows = torch.tensor([rows for _, rows in windows])
        targets = torch.from_numpy(self._targets[chosen])
        if recipe.gain:
            samples = random_gain(samples, random)
        if recipe.mixup:
            samples, targets = mix_up(samples, targets, random, probability=recipe.mixup)
        if recipe.noise:
            samples = add_noise(samples, random, probability=recipe.noise)
        return Batch(self._features(samples, rows, random), targets, int(random.integers(2**32)))

    def _indices(self, epoch: int) -> Indices:
        """Return the order of the examples in an epoch."""
        known, order = self._order
        if known != epoch:
            count = len(self._dataset.examples)
            random = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            if self._recipe.balanced:
                drawn = list(WeightedRandomSampler(self._weights.tolist(), count, generator=random))
            else:
                drawn = torch.randperm(count, generator=random).tolist()
            order = np.array(drawn, np.int64)
            self._order = epoch, order
        return order

    def _window(self, index: int, random: np.random.Generator) -> tuple[Samples, int]:
        """Return the samples (window,) of an example, and the number of rows before the padding."""
        length = self._network.config.input_tdim * frontends.FRAME_SHIFT
        example = self._dataset.examples[index]
        samples = example.cut(self._sounds(example.path))
        if random.random() < self._recipe.placement:
            return place(samples, length, random), frontends.row_count(length)
        samples = samples[:length]
        return np.pad(samples, (0, length - len(samples))), frontends.row_count(len(samples))

    def _features(self, samples: Tensor, valid: Tensor, random: np.random.Generator) -> Tensor:
        """Return rows (batch, rows, bins) as `Tagger` makes them, padded after the `valid` ones."""
        config, recipe = self._network.config, self._recipe
        rows = frontends.input_rows(
            frontends.fbank(samples, config.input_fdim), config.input_tdim, mean=0.0, std=0.5
        )
        padding = torch.arange(config.input_tdim) >= valid[:, None]  # (batch, rows)
        rows = rows.masked_fill(padding[..., None], 0.0)
        if recipe.mask_bins or recipe.mask_share:
            rows = mask_rows(rows, random, recipe.mask_bins, recipe.mask_share)
        return frontends.input_rows(rows, config.input_tdim, self._network.mean, self._network.std)


def example_weights(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return sampling weights that balance classes: the sum of 1 / recordings over the labels of an example (PSLA, 2021)."""
    counts = Counter(label for example in dataset.examples for label in example.labels)
    return np.array([sum(1 / counts[label] for label in example.labels) for example in dataset.examples])


def normalisation(dataset: Dataset, sounds: Reader, config: NetworkConfig, seed: int) -> tuple[float, float]:
    """Measure mean and deviation of the log-mel rows, without padding, of the first windows of at most 1,000 recordings."""
    count = min(1000, len(dataset.examples))
    chosen = np.random.default_rng(seed).choice(len(dataset.examples), count, replace=False)
    length = config.input_tdim * frontends.FRAME_SHIFT
    examples = (dataset.examples[index] for index in chosen)
    windows = (example.cut(sounds(example.path))[:length] for example in examples)
    cells = torch.cat(
        [frontends.fbank(torch.from_numpy(window), config.input_fdim) for window in windows]
    ).double()
    return float(cells.mean()), float(cells.std())

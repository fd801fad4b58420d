"""Training of one network: steps, validation, averaging of weights, and the state to resume from."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name
from torch.optim.swa_utils import get_swa_multi_avg_fn

from ..ast_network import AudioSpectrogramTransformer, require_ast
from ..checkpoints import Checkpoint
from ..engines.torch_engine import TorchEngine
from ..errors import TrainingError
from ..tagger import Tagger
from .batches import Batch, Batches
from .dataset import Dataset, Reader
from .evaluate import evaluate
from .metrics import Figures, NonFiniteScoresError, ranking_figures
from .muon import Muon
from .precision import TrainingPrecision, mixed_precision
from .probe import fit_head
from .recipes import Recipe

Selection: TypeAlias = Literal["best", "average", "last"]

_PREPARERS = 2
"""Number of threads that make batches, and of batches made ahead."""
_PROBE_WINDOWS = 4000
"""Maximum number of windows that the head is fitted to."""
_HIGHEST_LOSS = 1e3
"""Limit in nats; an untrained network has the logarithm of the number of classes, about 7 at most."""


class DivergedError(TrainingError):
    """Loss too high, or loss or scores not finite, because the learning rate is too high."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Validation:
    """Results of a network on recordings that it wasn't trained on.

    Attributes
    ----------
    metric : float
        Accuracy, or mean average precision where recordings may have several labels.
    loss : float
        Training loss, without augmentation.
    scores, targets : float32 tensors (recordings, classes)
        Scores, and 1 for each true label.
    """

    metric: float
    loss: float
    scores: Tensor
    targets: Tensor

    @property
    def figures(self) -> Figures:
        """Figures of merit of the scores."""
        return ranking_figures(self.scores.numpy(), self.targets.numpy() > 0)

    @property
    def key(self) -> tuple[float, float]:
        """Sort key, greater for a better result: the metric decides, then the loss."""
        return (-math.inf if math.isnan(self.metric) else self.metric, -self.loss)


class Validator:
    """Measures a network as `evaluate` does, through the tagger.

    Parameters
    ----------
    dataset : Dataset
        Recordings for validation.
    sounds : Reader
        Function that decodes a recording.
    device : torch.device
        Device that the network runs on.
    """

    def __init__(self, dataset: Dataset, sounds: Reader, device: torch.device) -> None:
        self._dataset, self._sounds, self._device = dataset, sounds, device

    def __call__(self, checkpoint: Checkpoint) -> Validation:
        """Score all recordings."""
        network = checkpoint.network_spec()
        tagger = Tagger(
            TorchEngine(network, device=str(self._device)),
            name=checkpoint.name,
            labels=checkpoint.labels,
            window_samples=network.window_samples,
            activation=checkpoint.activation,
        )
        result = evaluate(tagger, self._dataset, self._sounds)
        figures = result.figures
        return Validation(
            metric=figures.mean_average_precision if self._dataset.multi_label else figures.accuracy,
            loss=_loss_of_scores(result.scores, result.dataset.targets(), checkpoint.activation),
            scores=torch.from_numpy(result.scores),
            targets=torch.from_numpy(result.dataset.targets()),
        )


def _loss_of_scores(scores: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], activation: str) -> float:
    """Return the cross entropy of probabilities, clipped to stay finite."""
    probabilities = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    if activation == "softmax":
        return float(-(targets * np.log(probabilities)).sum(1).mean())
    return float(-(targets * np.log(probabilities) + (1 - targets) * np.log1p(-probabilities)).mean())


@dataclass(slots=True)
class Counters:
    """Counters of a training.

    Attributes
    ----------
    epoch, step : int
        Number of completed epochs, and of steps done in the current one.
    loss, windows : float, int
        Sum of the losses in this epoch, and the number of windows in it.
    stale : int
        Epochs since the best one.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    windows: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Line of the history.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    rate : float
        Learning rate of the body at the end of the epoch.
    train_loss, validation_loss, metric : float
        Losses and metric; the last two are NaN without validation.
    """

    epoch: int
    rate: float
    train_loss: float
    validation_loss: float = math.nan
    metric: float = math.nan


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """Result of a training.

    Attributes
    ----------
    weights : dict of str to tensor
        State dict.
    kept : {"best", "average", "last"}
        Origin of the weights: the best epoch, the average over epochs, or the last step.
    epochs : int
        Number of epochs needed to get these weights.
    validation : Validation or None
        Validation of these weights.
    """

    weights: dict[str, Tensor]
    kept: Selection
    epochs: int
    validation: Validation | None


class Learning:
    """Training of one network.

    Parameters
    ----------
    start : Checkpoint
        Starting point; it isn't changed.
    batches : Batches
        Training data.
    validator : Validator or None
        Validation after each epoch.
    recipe : Recipe
        Training settings.
    device, precision : torch.device, str
        Device to run on, and precision of the matrix products.
    stop_after : int, optional
        Number of epochs to stop after if the recipe has more.

    Attributes
    ----------
    counters : Counters
        Current epoch and step.
    epochs : int
        Maximum number of epochs.
    history : list of Epoch
        Completed epochs.
    best : Validation or None
        Validation of the best epoch.
    """

    def __init__(
        self,
        start: Checkpoint,
        batches: Batches,
        validator: Validator | None,
        recipe: Recipe,
        *,
        device: torch.device,
        precision: TrainingPrecision = "auto",
        stop_after: int | None = None,
    ) -> None:
        self.counters, self.history = Counters(), list[Epoch]()
        self.best: Validation | None = None
        recipe = recipe.for_steps(batches.steps)
        self.epochs = min(recipe.epochs, stop_after or recipe.epochs)
        self._start, self._batches, self._validator, self._recipe = start, batches, validator, recipe
        self._device, self._dtype = device, mixed_precision(device, precision)
        weights = {key: value.clone() for key, value in start.weights.items()}
        network = require_ast(replace(start, weights=weights).build(), start.name, "fine-tuned")
        self._network = network.train().to(device)
        self._network.requires_grad_(requires_grad=True)
        self._network.drop_patches(recipe.patch_drop)
        self._best_epoch = 0
        self._best_weights: dict[str, Tensor] = {}
        self._average: dict[str, Tensor] = {}
        self._averaged = 0
        self._optimizers = _optimizers(self._network, recipe)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)

    @property
    def steps(self) -> int:
        """Number of steps in an epoch."""
        return self._batches.steps

    @property
    def finished(self) -> bool:
        """True if no step is left to do."""
        patience = self._recipe.patience
        out_of_patience = (
            self._validator is not None and patience is not None and self.counters.stale >= patience
        )
        return self.counters.epoch >= self.epochs or (out_of_patience and self.counters.step == 0)

    def run(self, after_step: Callable[[], bool]) -> None:
        """Train until finished, or until `after_step` returns False.

        Raises
        ------
        DivergedError
            The loss is too high, or loss or scores are not finite.
        """
        if self._recipe.probe and self.counters == Counters():
            steps = min(self.steps, -(-_PROBE_WINDOWS // self._recipe.batch))
            unused_epoch = self._recipe.epochs  # its batches are not trained on later
            fit_head(self._network, (self._batches(unused_epoch, step) for step in range(steps)), self._loss)
        with closing(self._upcoming()) as batches:
            for batch in batches:
                if self.finished:
                    break
                rate = self._set_rate()
                self.counters.loss += self._learn(batch) * len(batch.targets)
                self.counters.windows += len(batch.targets)
                self.counters.step += 1
                if self.counters.step == self.steps:
                    self._end_epoch(rate)
                if not after_step():
                    break

    def _upcoming(self) -> Generator[Batch, None, None]:
        """Yield the batch of each remaining step.

        For a GPU, the next batches are made in threads beside the training. On a CPU, such threads would slow down those of PyTorch.
        """
        first = self.counters.epoch * self.steps + self.counters.step
        numbers = (divmod(number, self.steps) for number in range(first, self.epochs * self.steps))
        if self._device.type == "cpu":
            yield from (self._batches(*number) for number in numbers)
            return
        with ThreadPoolExecutor(_PREPARERS, "batches") as preparers:
            pending: deque[Future[Batch]] = deque()
            try:
                for number in numbers:
                    pending.append(preparers.submit(self._batches, *number))
                    if len(pending) > _PREPARERS:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def _set_rate(self) -> float:
        recipe, counters = self._recipe, self.counters
        rate = recipe.rate * recipe.share_of_rate(counters.epoch, counters.step, self.steps)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
        return rate

    def _learn(self, batch: Batch) -> float:
        """Take one step and return the loss."""
        rows, targets = batch.rows.to(self._device), batch.targets.to(self._device)
        with (
            self._seeded(batch.seed),
            torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None),
        ):
            logits = self._network(rows)
        loss = self._loss(logits.float(), targets)
        value = loss.item()
        if not value < _HIGHEST_LOSS:  # NaN too
            raise self._diverged(f"the loss is {value:.3g}")
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm or math.inf)
        if not self._scaler.is_enabled() and not norm.isfinite():  # the scaler itself skips such a step
            raise self._diverged(f"the gradient is {norm.item():.3g}")
        for optimizer in self._optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()
        return float(value)

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Seed torch's global generators within the ``with`` block."""
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self._start.activation == "softmax":
            return F.cross_entropy(logits, targets, label_smoothing=self._recipe.label_smoothing)
        return F.binary_cross_entropy_with_logits(logits, targets)

    def _diverged(self, reason: str) -> DivergedError:
        return DivergedError(
            f"the training diverged in epoch {self.counters.epoch + 1} ({reason}): give a lower --rate than {self._recipe.rate:g}"
        )

    def _end_epoch(self, rate: float) -> None:
        counters = self.counters
        validation = self._validate(self._network.state_dict())
        train_loss = counters.loss / counters.windows
        counters.epoch, counters.step, counters.loss, counters.windows = counters.epoch + 1, 0, 0.0, 0
        if self._recipe.average_from is not None and counters.epoch >= self._recipe.average_from:
            self._update_average()
        if validation is None:
            self.history.append(Epoch(epoch=counters.epoch, rate=rate, train_loss=train_loss))
            return
        counters.stale += 1
        if self.best is None or validation.key > self.best.key:
            self.best, self._best_epoch, counters.stale = validation, counters.epoch, 0
            self._best_weights = _copy(self._network.state_dict())
        self.history.append(
            Epoch(
                epoch=counters.epoch,
                rate=rate,
                train_loss=train_loss,
                validation_loss=validation.loss,
                metric=validation.metric,
            )
        )

    def _validate(self, weights: dict[str, Tensor]) -> Validation | None:
        if self._validator is None:
            return None
        try:
            return self._validator(replace(self._start, weights=weights))
        except NonFiniteScoresError as error:
            raise self._diverged("the scores are not finite") from error

    @torch.no_grad()
    def _update_average(self) -> None:
        current = self._network.state_dict()
        if self._averaged:
            average = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
            average(list(self._average.values()), [current[key] for key in self._average], self._averaged)
        else:
            self._average = _copy(current)
        self._averaged += 1

    def outcome(self) -> Outcome:
        """Return the best epoch's weights or the average, whichever validates better; without validation the average, else the last weights."""
        best = self.best_outcome()
        if best is None or best.validation is None:
            kept: Selection = "average" if self._averaged else "last"
            weights = self._average if self._averaged else self._network.state_dict()
            return Outcome(weights=_copy(weights), kept=kept, epochs=self.counters.epoch, validation=None)
        average = self._validate(self._average) if self._averaged > 1 else None
        if average is not None and average.key >= best.validation.key:
            weights, epochs = _copy(self._average), self.counters.epoch
            return Outcome(weights=weights, kept="average", epochs=epochs, validation=average)
        return best

    def best_outcome(self) -> Outcome | None:
        """Return the best epoch's weights, even if the training diverged later; None without a validated epoch."""
        if self.best is None:
            return None
        weights = _copy(self._best_weights)
        return Outcome(weights=weights, kept="best", epochs=self._best_epoch, validation=self.best)

    def state(self) -> dict[str, Any]:
        """Return the state for `restore`, as tensors and plain values."""
        return {
            "network": self._network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scaler": self._scaler.state_dict(),
            "progress": asdict(self.counters),
            "history": [asdict(epoch) for epoch in self.history],
            "best": None if self.best is None else asdict(self.best),
            "best_epoch": self._best_epoch,
            "best_weights": self._best_weights,
            "average": self._average,
            "averaged": self._averaged,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned.

        Raises
        ------
        KeyError, ValueError, TypeError, RuntimeError
            The state belongs to another training.
        """
        self._network.load_state_dict(state["network"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._scaler.load_state_dict(state["scaler"])
        self.counters = Counters(**state["progress"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best = None if state["best"] is None else Validation(**state["best"])
        self._best_epoch, self._best_weights = state["best_epoch"], state["best_weights"]
        self._average, self._averaged = state["average"], state["averaged"]


def _optimizers(network: AudioSpectrogramTransformer, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return Adam for all parameters, or Muon for the blocks' matrices; a group's ``factor`` multiplies its learning rate."""
    groups = {"matrices": list[nn.Parameter](), "others": list[nn.Parameter](), "head": list[nn.Parameter]()}
    for name, parameter in network.named_parameters():
        matrix = name.startswith("v.blocks.") and parameter.ndim == 2
        groups["head" if name.startswith("mlp_head.") else "matrices" if matrix else "others"].append(
            parameter
        )
    head = {"params": groups["head"], "factor": recipe.head_rate_factor}
    others = {"params": groups["others"], "factor": 1.0}
    matrices = {"params": groups["matrices"], "factor": 1.0}
    decay = recipe.weight_decay
    if recipe.optimizer == "adam":
        return [torch.optim.Adam([matrices, others, head], betas=recipe.betas, weight_decay=decay)]
    adam = torch.optim.Adam([others, head], betas=recipe.betas, weight_decay=decay)
    return [Muon([matrices], weight_decay=decay), adam]


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in weights.items()}

"""Fine-tuning of an Audio Spectrogram Transformer on your own recordings.

A run has one part, which trains on a share of the recordings and validates on the others; or one such part for each of several folds, and
a last one that trains on all recordings for the median number of epochs of the folds. All randomness comes from the seed and the number of
the step, so that a run that was killed resumes exactly.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints import Checkpoint, save_checkpoint
from ..engines.torch_engine import pick_device
from ..errors import TrainingError
from .batches import Batches
from .dataset import Dataset, Reader
from .head_learning import HeadLearning
from .learning import Epoch, Learning, Outcome, Selection, Validation, Validator
from .plan import Part
from .precision import TrainingPrecision
from .recipes import Recipe
from .state import restoring, save_state

if TYPE_CHECKING:
    from torch import Tensor

_SAVE_SECONDS = 60.0
_MAX_SAVING_SHARE = 0.05
"""Maximum share of the time spent on saving."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """Result of a finished part.

    Attributes
    ----------
    name : str
        Name of the part.
    kept : {"best", "average", "last"}
        Origin of the weights.
    epochs : int
        Number of epochs needed to get these weights.
    history : tuple of Epoch
        All epochs.
    validation : Validation or None
        Validation of these weights.
    """

    name: str
    kept: Selection
    epochs: int
    history: tuple[Epoch, ...]
    validation: Validation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a run after a step.

    Attributes
    ----------
    part, parts : int
        Number of the part, from 1, and number of parts.
    name : str
        Name of the part.
    epoch, epochs : int
        Number of the epoch, from 1, and maximum number of epochs.
    done, steps : int
        Number of steps done in this part, and maximum number of steps.
    loss : float
        Mean loss of the epoch so far.
    best : float or None
        Best metric of the part so far.
    """

    part: int
    parts: int
    name: str
    epoch: int
    epochs: int
    done: int
    steps: int
    loss: float
    best: float | None


class FineTuning:
    """Fine-tuning run: its parts, one after the other, and its state on disk.

    Parameters
    ----------
    start : Checkpoint
        Starting point of each part, with the labels of the data (see `transfer.starting_point`).
    dataset : Dataset
        All recordings.
    sounds : Reader
        Function that decodes a recording; called from several threads.
    recipe : Recipe
        Training settings.
    parts : tuple of Part
        Parts from `plan_parts`.
    state_file : Path
        File that holds the state while the run lasts.
    seed : int
        Seed of all randomness.
    device, precision : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Attributes
    ----------
    results : list of Result
        Results of the finished parts.
    learning : Learning
        Training of the current part.

    Raises
    ------
    EngineError
        The device or precision is not available.
    """

    def __init__(
        self,
        start: Checkpoint,
        dataset: Dataset,
        sounds: Reader,
        recipe: Recipe,
        parts: tuple[Part, ...],
        *,
        state_file: Path,
        seed: int = 0,
        device: str = "auto",
        precision: TrainingPrecision = "auto",
    ) -> None:
        single = recipe.loss == "cross-entropy" or (recipe.loss == "auto" and not dataset.multi_label)
        self._start = replace(start, activation="softmax" if single else "sigmoid")
        self.dataset, self.parts, self.recipe, self.seed = dataset, parts, recipe, seed
        self._sounds, self._state_file = sounds, state_file
        self._device, self._precision = pick_device(device), precision
        self.results: list[Result] = []
        self._weights: dict[str, Tensor] = {}
        self.learning = self._begin()
        self._fingerprint = self._compute_fingerprint()

    @property
    def metric_name(self) -> str:
        """Name of the metric."""
        return "mAP" if self.dataset.multi_label else "accuracy"

    @property
    def finished(self) -> bool:
        """True if all parts are done."""
        return len(self.results) == len(self.parts)

    def _begin(self) -> Learning:
        """Return the training of the next part."""
        part = self.parts[len(self.results)]
        training = self.dataset.subset(part.training)
        batches = Batches(
            training, self._sounds, self.recipe, self._start, self.seed + 1000 * len(self.results)
        )
        validation = self.dataset.subset(part.validation)
        validator = Validator(validation, self._sounds, self._device) if len(part.validation) else None
        recipe, stop_after = self.recipe, None
        if self.results:
            recipe, stop_after = self._final_recipe(validator)
        learning = HeadLearning if recipe.head_only else Learning
        return learning(
            self._start,
            batches,
            validator,
            recipe,
            device=self._device,
            precision=self._precision,
            stop_after=stop_after,
        )

    def _final_recipe(self, validator: Validator | None) -> tuple[Recipe, int | None]:
        """Return recipe and epochs of the part that trains on all recordings: the folds' median, averaged if most folds did better so."""
        if validator is not None:
            return self.recipe, None
        averaged = 2 * sum(result.kept == "average" for result in self.results) > len(self.results)
        epochs = round(statistics.median(result.epochs for result in self.results))
        return (self.recipe if averaged else replace(self.recipe, average_from=None)), epochs

    def run(
        self, *, minutes: float | None = None, on_step: Callable[[Progress], None] = lambda _: None
    ) -> bool:
        """Train until all parts are done, saving the state after each epoch and each minute.

        Parameters
        ----------
        minutes : float, optional
            Time after which to stop; the run can be resumed.
        on_step : callable, optional
            Function that receives the progress after each step.

        Returns
        -------
        bool
            True if all parts are done.

        Raises
        ------
        TrainingError
            The training diverged, or the disk can't be written. The last saved state stays.
        """
        started = saved = time.monotonic()
        interval = _SAVE_SECONDS

        def after_step() -> bool:
            nonlocal saved, interval
            on_step(self._progress())
            now = time.monotonic()
            if self.learning.counters.step == 0 or now - saved > interval:
                self.save()
                saved = time.monotonic()
                interval = max(_SAVE_SECONDS, (saved - now) / _MAX_SAVING_SHARE)
            return minutes is None or now - started < 60 * minutes

        while not self.finished:
            self.learning.run(after_step)
            if not self.learning.finished:
                break
            self._end_part()
        self.save()
        return self.finished

    def _progress(self) -> Progress:
        learning = self.learning
        counters, best = learning.counters, learning.best
        ended = counters.windows == 0
        loss = learning.history[-1].train_loss if ended else counters.loss / counters.windows
        return Progress(
            part=len(self.results) + 1,
            parts=len(self.parts),
            name=self.parts[len(self.results)].name,
            epoch=counters.epoch + (0 if ended else 1),
            epochs=learning.epochs,
            done=counters.epoch * learning.steps + counters.step,
            steps=learning.epochs * learning.steps,
            loss=loss,
            best=None if best is None else best.metric,
        )

    def _end_part(self) -> None:
        outcome = self.learning.outcome()
        self.results.append(self._result(outcome))
        self._weights = outcome.weights
        if not self.finished:
            self.learning = self._begin()

    def _result(self, outcome: Outcome) -> Result:
        return Result(
            name=self.parts[len(self.results)].name,
            kept=outcome.kept,
            epochs=outcome.epochs,
            history=tuple(self.learning.history),
            validation=outcome.validation,
        )

    def so_far(self) -> tuple[Result, ...]:
        """Return the results of the finished parts, and of the current one after its first epoch."""
        if self.finished or not self.learning.history:
            return tuple(self.results)
        return (*self.results, self._result(self.learning.outcome()))

    def save(self) -> None:
        """Write the state for `restore`.

        Raises
        ------
        TrainingError
            The disk can't be written; the state saved before is still there.
        """
        state = {
            "run": self._fingerprint,
            "results": [_plain(result) for result in self.results],
            "weights": self._weights,
            "learning": None if self.finished else self.learning.state(),
        }
        save_state(state, self._state_file)

    def restore(self) -> None:
        """Resume from the last saved state.

        Raises
        ------
        TrainingError
            There is no state, it can't be read, or it belongs to another run.
        """
        with restoring(self._state_file, self._device, advice="start over with --overwrite") as state:
            if state["run"] != self._fingerprint:
                raise TrainingError(
                    f"the run in {self._state_file} had other recordings or settings: give the same ones (only the learning rate may "
                    "change), or start over with --overwrite"
                )
            self.results = [_result_of(plain) for plain in state["results"]]
            self._weights = state["weights"]
            if not self.finished:
                self.learning = self._begin()
                self.learning.restore(state["learning"])

    def _compute_fingerprint(self) -> str:
        """Return a hash of everything that a state depends on."""
        config = asdict(self._start.config) | {
            "mean": self._start.mean,
            "std": self._start.std,
            "activation": self._start.activation,
            "multi_label": self.dataset.multi_label,
        }
        recipe = {
            key: value
            for key, value in asdict(self.recipe).items()
            if key not in {"rate", "head_rate_factor"}
        }
        examples = [
            (
                *(str(example.path), _size(example.path), example.labels),
                *example.part,
            )
            for example in self.dataset.examples
        ]
        parts = [(part.name, part.training.tolist(), part.validation.tolist()) for part in self.parts]
        content = json.dumps([config, recipe, self.dataset.labels, examples, parts, self.seed])
        return hashlib.sha256(content.encode()).hexdigest()

    def export(self, path: Path, notes: Mapping[str, Any] | None = None) -> Checkpoint:
        """Write the network of the finished run, else of the current part, or of the part before it if that has no epoch yet.

        Raises
        ------
        TrainingError
            The file can't be written.
        """
        before = self.finished or (self.results and not self.learning.history)
        return self._write(self._weights if before else self.learning.outcome().weights, path, notes)

    def export_measured(self, path: Path) -> bool:
        """Write the network of this part's best epoch, or of the part before it, even if the training diverged.

        Returns
        -------
        bool
            True if a network was measured and written.

        Raises
        ------
        TrainingError
            The file can't be written.
        """
        best = self.learning.best_outcome()
        if best is None and not self.results:
            return False
        self._write(self._weights if best is None else best.weights, path, None)
        return True

    def _write(self, weights: "dict[str, Tensor]", path: Path, notes: Mapping[str, Any] | None) -> Checkpoint:
        checkpoint = replace(self._start, name=path.stem, weights=weights)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(checkpoint, path, notes)
        except OSError as error:
            raise TrainingError(
                f"{path} can't be written ({error}): free some space, or give another --out; --resume continues the training"
            ) from error
        return checkpoint


def _size(path: Path) -> int | None:
    """Return the size of a file in bytes; None if it doesn't exist."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _plain(result: Result) -> dict[str, Any]:
    validation = result.validation
    return {
        "name": result.name,
        "kept": result.kept,
        "epochs": result.epochs,
        "history": [asdict(epoch) for epoch in result.history],
        "judgement": None if validation is None else asdict(validation),
    }


def _result_of(plain: Mapping[str, Any]) -> Result:
    validation = plain["judgement"]
    return Result(
        name=plain["name"],
        kept=plain["kept"],
        epochs=plain["epochs"],
        history=tuple(Epoch(**epoch) for epoch in plain["history"]),
        validation=None if validation is None else Validation(**validation),
    )

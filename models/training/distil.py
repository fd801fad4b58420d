"""Distillation of a teacher into a small Audio Spectrogram Transformer, on mixtures that the teacher labels during training.

A run has a steady part, which can go on for as long as one likes, and an end, in which the learning rate falls to 0. Targets are the teacher's
probabilities and, through auxiliary heads that are dropped afterwards, its embedding and its features in time. Matrices of the blocks are
trained with Muon (Jordan et al. 2024; Liu et al., "Muon is Scalable for LLM Training", 2025), everything else with AdamW. The result is a
moving average of the weights.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import frontends
from ..ast_network import AstConfig, AudioSpectrogramTransformer, Size
from ..checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from ..engines.torch_engine import TorchEngine, pick_device
from ..errors import TrainingError
from ..labels import audioset_classes
from ..tagger import Tagger
from .distil_learner import FIGURES, Learner
from .distil_recipe import DistilRecipe, Windows
from .library import Library
from .names import NamesRight, names_right
from .pack import Pack
from .state import restoring, save_state
from .student import initialise
from .teachers import TeacherNetwork

logger = logging.getLogger(__name__)

STATE, REPORT = "state.pt", "report.jsonl"

_STEADY = "steady"
"""Name of the part of a run that is saved."""

_ABSENT_LOGIT = -12.0
"""Logit of a class that the teacher lacks: a probability of 6 in a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Length of a part of a run: the first limit that is reached; without limits, until it is stopped.

    Attributes
    ----------
    minutes : float or None
        Maximum time in minutes.
    steps : int or None
        Maximum number of steps.
    """

    minutes: float | None = None
    steps: int | None = None

    def progress(self, minutes: float, steps: int) -> float:
        """Return the completed share, 0..1, after some time and steps."""
        shares = [0.0]
        if self.minutes is not None:
            shares.append(minutes / self.minutes if self.minutes else 1.0)
        if self.steps is not None:
            shares.append(steps / self.steps if self.steps else 1.0)
        return min(1.0, max(shares))

    def halves(self) -> tuple["Length", "Length"]:
        """Return the lengths of both halves."""
        minutes = None if self.minutes is None else self.minutes / 2
        if self.steps is None:
            return Length(minutes=minutes), Length(minutes=minutes)
        half = self.steps // 2
        return Length(minutes=minutes, steps=half), Length(minutes=minutes, steps=self.steps - half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Line of the report.

    Attributes
    ----------
    part : str
        Part of the run: steady, falling or last.
    minutes : float
        Minutes of training so far.
    windows : int
        Number of windows so far.
    windows_per_second : float
        Speed since the last line.
    divergence, embedding, features : float
        Means of the figures of a step since the last line.
    names : NamesRight or None
        Names right, of the averaged weights; None without clips that have names, or if the run was stopped.
    """

    part: str
    minutes: float
    windows: int
    windows_per_second: float
    divergence: float
    embedding: float
    features: float
    names: NamesRight | None

    def line(self) -> str:
        """Return the report for people."""
        text = f"{self.part}: {self.minutes:.1f} min, {self.windows} windows, {self.windows_per_second:.1f}/s, divergence {self.divergence:.3f}"
        if self.names is not None:
            shares = self.names.first, self.names.of_three, self.names.of_five
            text += ", names right first {:.1%}, among three {:.1%}, among five {:.1%}".format(*shares)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watch over a run.

    Attributes
    ----------
    save_minutes : float
        Minutes between two lines of the report, and between two saves.
    on_report : callable
        Function that receives each line of the report.
    stop : callable
        Function that returns True to end the run after a step.
    """

    save_minutes: float = 10.0
    on_report: Callable[[Report], None] = lambda _report: None
    stop: Callable[[], bool] = lambda: False


class Distillation:
    """Distillation run in a folder, which holds its state and its report.

    Parameters
    ----------
    start : Checkpoint
        Network to start from: that of `starting_point`.
    teacher : TeacherNetwork
        The teacher, on the device.
    library : Library
        Sounds, from `load_library`.
    out : Path
        Folder of the run.
    named : Pack, optional
        Part of a pack whose clips for validation have names.
    recipe : DistilRecipe
        Settings.
    seed : int
        Seed of all randomness.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    compiled : bool
        True to compile the student's blocks, if there is a compiler.

    Raises
    ------
    TrainingError
        Windows have more rows than the network.
    EngineError
        The device is not available.
    """

    def __init__(
        self,
        start: Checkpoint,
        teacher: TeacherNetwork,
        library: Library,
        *,
        out: Path,
        named: Pack | None = None,
        recipe: DistilRecipe | None = None,
        seed: int = 0,
        device: str = "auto",
        compiled: bool = False,
    ) -> None:
        self._start, self._out, self._named = start, out, named
        self._recipe, self._device, self._minutes = recipe or DistilRecipe(), pick_device(device), 0.0
        self._classes = teacher.classes
        longest = max(windows.rows for windows in (*self._recipe.steady, *self._recipe.last))
        if longest > start.config.input_tdim:
            raise TrainingError(
                f"'{start.name}' takes {start.config.input_tdim} rows, but windows have {longest}: give another --init"
            )
        self.learner = Learner(
            start,
            teacher,
            library.to(self._device),
            self._recipe,
            seed=seed,
            device=self._device,
            compiled=compiled and _has_compiler(self._device),
        )

    def train(self, length: Length, watch: Watch) -> None:
        """Train at the steady rate, and save the state with each line of the report, the last one at the end.

        Raises
        ------
        TrainingError
            A figure is not finite, or the disk can't be written.
        """
        rate = self._recipe.rate
        self._stretch(_STEADY, self._recipe.steady, (rate, rate), length, watch)

    def finish(self, length: Length, watch: Watch) -> bool:
        """Let the rate fall to 0, with whole windows in the second half; the saved state stays that of `train`.

        Returns False if it was stopped before the end.

        Raises
        ------
        TrainingError
            A figure is not finite, or the report can't be written.
        """
        self.learner.restart_average()
        recipe, (half, rest) = self._recipe, length.halves()
        middle = recipe.rate * recipe.middle_rate
        return self._stretch("falling", recipe.steady, (recipe.rate, middle), half, watch) and self._stretch(
            "last", recipe.last, (middle, 0.0), rest, watch
        )

    def _stretch(
        self, part: str, kinds: Sequence[Windows], rates: tuple[float, float], length: Length, watch: Watch
    ) -> bool:
        """Train while the rate goes from the first to the second; return True at the end, False if it was stopped."""
        learner = self.learner
        first_step, trained = learner.steps, 0.0
        figures, begun, windows = list[Tensor](), time.monotonic(), learner.windows
        while True:
            seconds, stopped = time.monotonic() - begun, watch.stop()
            progress = length.progress((trained + seconds) / 60, learner.steps - first_step)
            ends = progress >= 1 or stopped
            if figures and (ends or seconds >= 60 * watch.save_minutes):
                spent = learner.windows - windows, seconds
                watch.on_report(self._report(part, figures, *spent, measured=not stopped))
                trained += seconds  # without the measurement
                figures, begun, windows = [], time.monotonic(), learner.windows
            if ends:
                return progress >= 1
            rate = self._recipe.rate_at(learner.steps, *rates, progress)
            figures.append(learner.step(kinds[learner.steps % len(kinds)], rate))

    def _report(
        self, part: str, figures: Sequence[Tensor], windows: int, seconds: float, *, measured: bool
    ) -> Report:
        """Save the state at the steady rate, measure the averaged weights if asked to, and add a line to the report."""
        means = dict(zip(FIGURES, torch.stack(list(figures)).mean(0).tolist(), strict=True))
        if not all(math.isfinite(value) for value in means.values()):
            raise TrainingError(
                f"the divergence is {means['divergence']} after {self.learner.windows} windows: give a lower --rate, with --resume if a state was saved"
            )
        self._minutes += seconds / 60
        if part == _STEADY:
            self.save()  # before the measurement, which takes a while
        report = Report(
            part=part,
            minutes=round(self._minutes, 2),
            windows=self.learner.windows,
            windows_per_second=round(windows / seconds, 1),
            **{name: float(f"{value:.5g}") for name, value in means.items()},
            names=self.names_right() if measured else None,
        )
        file = self._out / REPORT
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(report)) + "\n")
        except OSError as error:
            raise TrainingError(
                f"{file} can't be written ({error}): free some space, or give another --out"
            ) from error
        return report

    def notes(self) -> dict[str, Any]:
        """Return the length of the training, for the model's description."""
        return {"windows": self.learner.windows, "minutes": round(self._minutes, 1)}

    def names_right(self) -> NamesRight | None:
        """Measure the averaged weights on the clips that have names; None without such clips."""
        if self._named is None:
            return None
        averaged = replace(self._start, weights=self.learner.mean_weights)
        return names_right(_tagger(averaged, self._device), self._named)

    def save(self) -> None:
        """Write the state for `restore`.

        Raises
        ------
        TrainingError
            The disk can't be written.
        """
        save_state(self.learner.state() | {"minutes": self._minutes}, self._out / STATE)

    def restore(self) -> None:
        """Resume from the state last saved in this folder.

        Raises
        ------
        TrainingError
            There is no state, it can't be read, or it belongs to another network.
        """
        with restoring(self._out / STATE, self._device, advice="give another --out") as state:
            self.learner.restore(state)
            self._minutes = float(state["minutes"])

    def export(self, path: Path, notes: dict[str, Any] | None = None) -> Checkpoint:
        """Write the averaged network as a float16 checkpoint; it never detects classes that the teacher lacks.

        Raises
        ------
        TrainingError
            The file can't be written.
        """
        weights = {key: value.detach().half().cpu() for key, value in self.learner.mean_weights.items()}
        missing = torch.ones(len(self._start.labels), dtype=torch.bool)
        missing[list(self._classes)] = False
        weights["mlp_head.1.weight"] = weights["mlp_head.1.weight"].masked_fill(missing[:, None], 0.0)
        weights["mlp_head.1.bias"] = weights["mlp_head.1.bias"].masked_fill(missing, _ABSENT_LOGIT)
        checkpoint = replace(self._start, name=path.stem, weights=weights, thresholds=None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(checkpoint, path, notes)
        except OSError as error:
            raise TrainingError(
                f"{path} can't be written ({error}): free some space, or give another --out"
            ) from error
        return checkpoint


def starting_point(init: str | None, size: Size, seed: int) -> Checkpoint:
    """Return the network to start from.

    Parameters
    ----------
    init : str or None
        Checkpoint of AudioSet's classes, as for `load_checkpoint`; None for a new network.
    size : {"tiny", "small", "base"}
        Size of a new network.
    seed : int
        Seed of its weights.

    Raises
    ------
    TrainingError
        Its classes or its patches do not fit.
    CheckpointError
        It can't be read.
    """
    labels = tuple(entry.name for entry in audioset_classes())
    if init is not None:
        checkpoint = load_checkpoint(init)
        config = checkpoint.config
        if checkpoint.labels != labels:
            raise TrainingError(f"the model '{init}' has other classes than AudioSet: give another --init")
        if (config.patch, config.fstride, config.tstride) != (16, 16, 16):
            raise TrainingError(
                f"the patches of the model '{init}' overlap: only strides of 16 can be distilled"
            )
        return checkpoint
    config = AstConfig.of_size(size, fstride=16, tstride=16, label_dim=len(labels))
    network = AudioSpectrogramTransformer(config)
    initialise(network, torch.Generator().manual_seed(seed))
    return Checkpoint(
        name=size,
        config=config,
        labels=labels,
        weights=network.state_dict(),
        mean=frontends.AUDIOSET_MEAN,
        std=frontends.AUDIOSET_STD,
    )


def _tagger(checkpoint: Checkpoint, device: torch.device) -> Tagger:
    spec = checkpoint.network_spec()
    return Tagger(
        TorchEngine(spec, device=str(device)),
        name=checkpoint.name,
        labels=checkpoint.labels,
        window_samples=spec.window_samples,
    )


def _has_compiler(device: torch.device) -> bool:
    """Return True if networks can be compiled; on a CPU, that takes a C++ compiler."""
    if device.type == "cuda" or shutil.which(os.environ.get("CXX", "g++")):
        return True
    logger.info("no C++ compiler: training without compilation, which is slower")
    return False

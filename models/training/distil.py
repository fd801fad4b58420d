"""Distillation of YAMNet into a small Audio Spectrogram Transformer, on mixtures that YAMNet labels during training.

The window's label is pooled from the teacher's patches; auxiliary heads, dropped afterwards, match each patch's labels and
embedding as well, which trains the patches' tokens directly. Hidden matrices are trained with Muon (Jordan et al. 2024; Liu et al.,
"Muon is Scalable for LLM Training", 2025), everything else with AdamW. The result is an exponential moving average of the weights.

All randomness comes from the seed and the number of the step, so that a run that was killed resumes exactly.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .. import frontends
from ..ast_network import AstConfig, AudioSpectrogramTransformer, Size, require_ast
from ..checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from ..engines.torch_engine import pick_device
from ..errors import TrainingError
from .mixtures import Mixer, clip_weights
from .muon import Muon
from .pack import TEACHER_WEIGHTS, Features, Pack
from .precision import labelling_precision, mixed_precision
from .state import restoring, save_state
from .student import Student, initialise
from .teachers import load_network, yamnet

logger = logging.getLogger(__name__)

Optimizer: TypeAlias = Literal["muon", "adamw"]

STATE, REPORT = "state.pt", "report.jsonl"

_LABEL_WEIGHT = 50.0
"""Weight of both cross entropies, which are means over 521 mostly absent classes; the embeddings' cosine has weight 1."""
_WARM_UP_STEPS = 40
_ABSENT_LOGIT = -12.0
"""Logit of a class that the teacher lacks: a probability of 6 in a million."""
_HEAD_BATCHES = 40
"""Number of batches that the auxiliary heads of a trained network are fitted to."""
_CLIP_NORM = 2.0
_WEIGHT_DECAY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Stage of the training.

    Attributes
    ----------
    rows : int
        Number of rows in a window: a multiple of 16, 100 a second.
    share : float
        Share of the patches that the student sees, above 0 up to 1.
    batch : int
        Number of windows in a step.
    first_rate, last_rate : float
        Learning rate at the start and at the end, along half a cosine.
    steps : int or None
        Length in steps.
    minutes : float or None
        Length in minutes if `steps` is None; the time between a kill and a resumption does not count.
    """

    rows: int
    share: float
    batch: int
    first_rate: float
    last_rate: float
    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.rows < yamnet.PATCH_ROWS or self.rows % 16:
            raise TrainingError(
                f"the rows of a stage must be a multiple of 16, at least 96, not {self.rows}: correct --stages"
            )
        if not 0 < self.share <= 1 or self.batch < 1 or not 0 <= self.last_rate <= self.first_rate < 1:
            raise TrainingError(
                "a stage needs a share above 0 and at most 1, a batch of at least 1, and rates with LAST_RATE at most "
                "FIRST_RATE: correct --stages"
            )
        if (self.steps is None) == (self.minutes is None):
            raise TrainingError("the length of a stage must be steps or minutes, not both: correct --stages")

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """Parse ``ROWS:SHARE:BATCH:FIRST_RATE:LAST_RATE:LENGTH``; the length is in steps, or in minutes if it ends in ``m``.

        Raises
        ------
        TrainingError
            The text has another form.
        """
        try:
            rows, share, batch, first, last, length = text.split(":")
            minutes = float(length.removesuffix("m")) if length.endswith("m") else None
            return cls(
                rows=int(rows),
                share=float(share),
                batch=int(batch),
                first_rate=float(first),
                last_rate=float(last),
                steps=int(length) if minutes is None else None,
                minutes=minutes,
            )
        except ValueError as error:
            raise TrainingError(
                f"'{text}' is not a stage: give ROWS:SHARE:BATCH:FIRST_RATE:LAST_RATE:LENGTH, such as 1024:0.5:32:1e-3:1e-4:600 "
                "or …:30m"
            ) from error

    def progress(self, steps: int, seconds: float) -> float:
        """Return the completed share of the stage, 0..1, after some steps and seconds."""
        if self.steps is not None:
            return min(1.0, steps / max(1, self.steps))
        assert self.minutes is not None
        return min(1.0, seconds / max(1e-9, 60 * self.minutes))

    def rate(self, steps: int, seconds: float) -> float:
        """Return the learning rate of the next step."""
        falling = 0.5 * (1 + math.cos(math.pi * self.progress(steps, seconds)))
        rate = self.last_rate + (self.first_rate - self.last_rate) * falling
        return rate * min(1.0, (steps + 1) / _WARM_UP_STEPS)


DEFAULT_STAGES = "256:1:64:1e-3:5e-4:4000,1024:0.5:32:1e-3:3e-4:2000,1024:1:32:3e-4:0:1000"


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Parse stages, separated by commas."""
    return tuple(Stage.parse(part.strip()) for part in text.split(","))


@dataclass(slots=True)
class Progress:
    """Progress of a run, part of its state.

    Attributes
    ----------
    stage : int
        Number of the stage.
    step : int
        Number of steps done in it.
    seconds : float
        Time spent in it.
    steps, windows : int
        Number of steps and windows in all stages.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    steps: int = 0
    windows: int = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Batch:
    """Training data of a step.

    Attributes
    ----------
    stage : Stage
        Stage that the batch is made for.
    rows : float32 tensor (batch, rows, 128)
        Input of the student.
    valid : bool tensor (batch, patches)
        True for the patches that count, p in all.
    window, labels, embeddings : float32 tensors (batch, 521), (p, 521), (p, 1024)
        Labels of windows and patches, and embeddings, from the teacher.
    chosen : tuple of tensors
        Patches that the student sees.
    """

    stage: Stage
    rows: Tensor
    valid: Tensor
    window: Tensor
    labels: Tensor
    embeddings: Tensor
    chosen: tuple[Tensor, Tensor, Tensor]


class Distillation:
    """Distillation run: network, optimizers, average and progress.

    Parameters
    ----------
    pack : Pack
        Clips and teacher.
    features : Features
        Features of the pack.
    stages : tuple of Stage
        Stages to train.
    out : Path
        Folder of the run's state and report.
    init : str, optional
        Checkpoint to start from, as for `load_checkpoint`; by default a new network of `size`.
    size : {"tiny", "small", "base"}
        Size of a new network.
    seed : int
        Seed of all randomness.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    optimizer : {"muon", "adamw"}
        Optimizer of the hidden matrices.
    average : float
        Decay of the moving average at a step.
    compiled : bool
        True to compile the student.

    Attributes
    ----------
    stages, out
        Stages and folder, as given.
    progress : Progress
        Current stage and step.
    mean_weights : dict of str to tensor
        State dict of the averaged network.

    Raises
    ------
    TrainingError
        The stages do not fit the network, or the teacher can't be read.
    CheckpointError, EngineError
        `init` or the device is not available.
    """

    def __init__(
        self,
        pack: Pack,
        features: Features,
        *,
        stages: tuple[Stage, ...],
        out: Path,
        init: str | None = None,
        size: Size = "tiny",
        seed: int = 0,
        device: str = "auto",
        optimizer: Optimizer = "muon",
        average: float = 0.99,
        compiled: bool = False,
    ) -> None:
        if optimizer not in get_args(Optimizer):
            raise TrainingError(f"there is no optimizer '{optimizer}': give muon or adamw")
        self.stages, self.out, self.progress = stages, out, Progress()
        self._seed, self._average, self._trained = seed, average, init is not None
        self._device = pick_device(device)
        self._template = _starting_point(pack, init, size, seed)
        longest = self._template.config.input_tdim
        if any(stage.rows > longest for stage in stages):
            raise TrainingError(
                f"a stage has more rows than the network, which has {longest}: correct --stages"
            )
        network = require_ast(self._template.build(), self._template.name, "distilled")
        torch.manual_seed(seed)  # of the auxiliary heads
        self._student = Student(network.train()).to(self._device)
        if self._device.type == "cpu":
            self._student.use_plain_attention()
        self._forward = torch.compile(self._student) if compiled else self._student
        self.mean_weights = {
            key: value.detach().clone() for key, value in self._student.network.state_dict().items()
        }
        self._optimizers = _optimizers(self._student, optimizer)
        self._teacher = load_network(
            yamnet.YamNet, pack.folder / TEACHER_WEIGHTS, self._device, labelling_precision(self._device)
        )
        self._silence = pack.silence
        self._classes = torch.from_numpy(pack.teacher_to_student).to(self._device)
        weights = torch.zeros(features.clips)
        training = torch.tensor(pack.of("train"))
        if not len(training):
            raise TrainingError(
                f"the audio pack {pack.folder} has no clips for training: give another --pack"
            )
        weights[training] = clip_weights(
            torch.from_numpy(pack.loudest_labels())[training], features.length[: features.clips][training]
        )
        self._mixer = Mixer(
            features, weights, mean=self._template.mean, std=self._template.std, device=self._device
        )
        self._dtype = mixed_precision(self._device)

    def run(
        self,
        *,
        save_every: int = 50,
        minutes: float | None = None,
        on_step: Callable[[Progress, dict[str, float]], None] = lambda _progress, _figures: None,
    ) -> bool:
        """Train to the end of the last stage, saving the state on the way.

        Parameters
        ----------
        save_every : int
            Number of steps between saves of the state, and between lines of the report.
        minutes : float, optional
            Time after which to stop; the run can be resumed.
        on_step : callable, optional
            Function that receives the progress and the figures after each step.

        Returns
        -------
        bool
            True if the last stage is done.

        Raises
        ------
        TrainingError
            The loss is not finite, or the disk can't be written.
        """
        started = time.monotonic()
        if self._trained and not self.progress.steps:
            self._fit_heads()
        means: dict[str, float] = {}
        with ThreadPoolExecutor(1, "batches") as worker:  # makes the next batch during this step
            upcoming: Future[_Batch] | None = None
            for stage in self._steps_to_do():
                step_started = time.monotonic()
                if upcoming is None or upcoming.result().stage is not stage:
                    upcoming = worker.submit(self._prepare, stage, self.progress.steps)
                batch = upcoming.result()
                upcoming = worker.submit(self._prepare, stage, self.progress.steps + 1)
                rate = stage.rate(self.progress.step, self.progress.seconds)
                figures = self._learn(batch, rate)
                seconds = time.monotonic() - step_started
                self._check_loss(figures["loss"])
                self.progress.step += 1
                self.progress.steps += 1
                self.progress.seconds += seconds
                self.progress.windows += stage.batch
                figures |= {"rate": rate, "windows_per_second": stage.batch / seconds}
                for key, value in figures.items():
                    means[key] = means.get(key, value) + 0.04 * (value - means.get(key, value))
                on_step(self.progress, means)
                if self.progress.steps % save_every == 0:
                    self._report(means)
                    self.save()
                if minutes is not None and time.monotonic() - started > 60 * minutes:
                    break
        self._report(means)
        self.save()
        return self.progress.stage >= len(self.stages)

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} after {self.progress.windows} windows: resume with a lower learning rate"
            )

    def _steps_to_do(self) -> Iterator[Stage]:
        """Yield the stage of each remaining step."""
        while self.progress.stage < len(self.stages):
            stage = self.stages[self.progress.stage]
            if stage.progress(self.progress.step, self.progress.seconds) < 1:
                yield stage
            else:
                self.progress.stage += 1
                self.progress.step, self.progress.seconds = 0, 0.0

    def _prepare(self, stage: Stage, step: int) -> _Batch:
        """Mix and label the batch of step number `step`."""
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        with torch.no_grad():
            windows = self._mixer(stage.batch, stage.rows, random)
            labels, embeddings = self._label(windows.teacher, windows.valid)
            return _Batch(
                stage=stage,
                rows=windows.student,
                valid=windows.valid,
                window=yamnet.pool(labels, windows.valid, self._silence),
                labels=labels[windows.valid],
                embeddings=embeddings[windows.valid],
                chosen=self._student.choose_patches(stage.rows, stage.share, random),
            )

    @torch.no_grad()
    def _fit_heads(self) -> None:
        """Fit the auxiliary heads to the trained network that the run starts from."""
        batches = [self._prepare(self.stages[0], -number) for number in range(1, _HEAD_BATCHES + 1)]
        patches = [self._student.patches(batch.rows, *batch.chosen)[batch.valid].float() for batch in batches]
        self._student.fit_heads(
            torch.cat(patches),
            torch.cat([batch.labels for batch in batches]),
            torch.cat([batch.embeddings for batch in batches]),
        )

    def _learn(self, batch: _Batch, rate: float) -> dict[str, float]:
        """Take one step and return the parts of the loss."""
        mixed = self._dtype is not None
        with torch.autocast(self._device.type, self._dtype, enabled=mixed):
            window, labels, embeddings = self._forward(batch.rows, *batch.chosen)
        window, labels = window.float()[:, self._classes], labels.float()[batch.valid]
        similarity = F.cosine_similarity(embeddings.float()[batch.valid], batch.embeddings, dim=-1)
        losses = {
            "window": F.binary_cross_entropy_with_logits(window, batch.window),
            "patches": F.binary_cross_entropy_with_logits(labels, batch.labels),
            "embeddings": 1 - similarity.mean(),
        }
        loss = _LABEL_WEIGHT * (losses["window"] + losses["patches"]) + losses["embeddings"]
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._student.parameters(), _CLIP_NORM)
        for optimizer in self._optimizers:
            optimizer.step()
        self._update_average()
        return {"loss": loss.item(), **{name: value.item() for name, value in losses.items()}}

    def _label(self, patches: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities (batch, patches, 521) and embeddings (batch, patches, 1024); zeros where a patch isn't valid."""
        probabilities = patches.new_zeros(*valid.shape, yamnet.CLASSES)
        embeddings = patches.new_zeros(*valid.shape, yamnet.EMBEDDING_WIDTH)
        probabilities[valid], embeddings[valid] = self._teacher.label_patches(patches[valid])
        return probabilities, embeddings

    @torch.no_grad()
    def _update_average(self) -> None:
        kept = min(self._average, (1 + self.progress.steps) / (10 + self.progress.steps))
        current = self._student.network.state_dict()
        average = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
        average(list(self.mean_weights.values()), [current[key] for key in self.mean_weights], None)

    def save(self) -> None:
        """Write the state for `restore`.

        Raises
        ------
        TrainingError
            The disk can't be written.
        """
        state = {
            "student": self._student.state_dict(),
            "mean_weights": self.mean_weights,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "progress": asdict(self.progress),
            "seed": self._seed,
        }
        save_state(state, self.out / STATE)

    def restore(self) -> None:
        """Resume from the state last saved in this folder.

        Raises
        ------
        TrainingError
            There is no state, it can't be read, or it belongs to another network.
        """
        with restoring(self.out / STATE, self._device, advice="give another --out") as state:
            self._student.load_state_dict(state["student"])
            self.mean_weights = state["mean_weights"]
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.progress = Progress(**state["progress"])
            self._seed = int(state["seed"])

    def export(self, path: Path, notes: dict[str, Any] | None = None) -> Checkpoint:
        """Write the averaged network, without the auxiliary heads, as a float16 checkpoint; it never detects classes that the teacher lacks.

        Raises
        ------
        TrainingError
            The file can't be written.
        """
        weights = {key: value.detach().half().cpu() for key, value in self.mean_weights.items()}
        missing = torch.ones(len(self._template.labels), dtype=torch.bool)
        missing[self._classes.cpu()] = False
        weights["mlp_head.1.weight"] = weights["mlp_head.1.weight"].masked_fill(missing[:, None], 0.0)
        weights["mlp_head.1.bias"] = weights["mlp_head.1.bias"].masked_fill(missing, _ABSENT_LOGIT)
        checkpoint = replace(self._template, name=path.stem, weights=weights, thresholds=None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(checkpoint, path, notes)
        except OSError as error:
            raise TrainingError(
                f"{path} can't be written ({error}): free some space, or give another --out"
            ) from error
        return checkpoint

    def _report(self, figures: dict[str, float]) -> None:
        line = asdict(self.progress) | {key: float(f"{value:.5g}") for key, value in figures.items()}
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            with (self.out / REPORT).open("a", encoding="utf-8") as report:
                report.write(json.dumps(line) + "\n")
                report.flush()
        except OSError as error:
            raise TrainingError(
                f"{self.out / REPORT} can't be written ({error}): free some space, or give another --out"
            ) from error


def _starting_point(pack: Pack, init: str | None, size: Size, seed: int) -> Checkpoint:
    if init is not None:
        checkpoint = load_checkpoint(init)
        if checkpoint.labels != pack.labels:
            raise TrainingError(f"the model '{init}' has other classes than the pack {pack.folder}")
        config = checkpoint.config
        if (config.patch, config.fstride, config.tstride) != (16, 16, 16):
            raise TrainingError(
                f"the patches of the model '{init}' overlap: only strides of 16 can be distilled"
            )
        return checkpoint
    config = AstConfig.of_size(size, fstride=16, tstride=16, label_dim=len(pack.labels))
    network = AudioSpectrogramTransformer(config)
    initialise(network, torch.Generator().manual_seed(seed))
    return Checkpoint(
        name=size,
        config=config,
        labels=pack.labels,
        weights=network.state_dict(),
        mean=frontends.AUDIOSET_MEAN,
        std=frontends.AUDIOSET_STD,
    )


def _optimizers(student: Student, kind: Optimizer) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for the rest, without decay of biases, norms, tokens and positions."""
    matrices, decaying, others = [], [], []
    for name, parameter in student.named_parameters():
        if name.startswith("network.v.blocks.") and parameter.ndim == 2:
            matrices.append(parameter)
        elif parameter.ndim > 1 and "pos_embed" not in name and "_token" not in name:
            decaying.append(parameter)
        else:
            others.append(parameter)
    groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0}, {"params": decaying}]
    if kind == "adamw":
        groups.append({"params": matrices})
    adamw = torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY, betas=(0.9, 0.98), fused=True)
    if kind == "adamw":
        return [adamw]
    muon = Muon(matrices, weight_decay=_WEIGHT_DECAY)
    return [muon, adamw]

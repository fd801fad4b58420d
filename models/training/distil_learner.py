"""Learning of a distillation: student, teacher and optimizers, a step, the average of the weights, and the state to resume from.

All randomness of a step comes from the seed and the number of the step, so that a run that was killed resumes exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..ast_network import require_ast
from ..checkpoints import Checkpoint
from .distil_recipe import DistilRecipe, Windows
from .labelling import Labeller
from .library import Library
from .mixtures import Mixer
from .muon import Muon
from .precision import mixed_precision
from .student import Student
from .teachers import TeacherNetwork

FIGURES = ("divergence", "embedding", "features")
"""Names of the figures of a step: divergence of the labels from the teacher's in nats, and mean squared errors without their weights."""


class Learner:
    """Student that learns from a teacher, step by step.

    Parameters
    ----------
    template : Checkpoint
        Network to start from; it isn't changed.
    teacher : TeacherNetwork
        The teacher, on the device.
    library : Library
        Sounds, on the device.
    recipe : DistilRecipe
        Settings.
    seed : int
        Seed of all randomness.
    device : torch.device
        Device to train on.
    compiled : bool
        True to compile the student's blocks.

    Attributes
    ----------
    steps, windows : int
        Number of steps and windows so far.
    mean_weights : dict of str to tensor
        State dict of the averaged network.
    """

    def __init__(
        self,
        template: Checkpoint,
        teacher: TeacherNetwork,
        library: Library,
        recipe: DistilRecipe,
        *,
        seed: int,
        device: torch.device,
        compiled: bool,
    ) -> None:
        self.steps = self.windows = self._averaged = 0
        self._recipe, self._device, self._seed = recipe, device, seed
        mixer = Mixer(library, teacher.front_end, recipe.mixing, mean=template.mean, std=template.std)
        self._labeller = Labeller(mixer, teacher, recipe.mixing.shortest_rows)
        torch.manual_seed(seed)  # of the auxiliary heads
        network = require_ast(template.build(), template.name, "distilled").train()
        network.requires_grad_(requires_grad=True)
        self._student = Student(network, teacher).to(device)
        if device.type == "cpu":
            self._student.use_plain_attention()
        if compiled:
            self._student.compile_blocks()
        self._classes = torch.tensor(teacher.classes, device=device)
        self._dtype = mixed_precision(device)
        self.mean_weights = {key: value.detach().clone() for key, value in network.state_dict().items()}
        parameters = {name: value for part in self._weights().values() for name, value in part.items()}
        matrices, others = _by_optimizer(self._weights())
        self._others = [parameters[name] for name in others]
        self._muon = Muon(
            [parameters[name] for name in matrices],
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            precision=self._dtype or torch.float32,
        )
        self._adamw = torch.optim.AdamW(
            self._others, weight_decay=recipe.weight_decay_of_others, betas=recipe.betas, fused=True
        )

    def step(self, windows: Windows, rate: float) -> Tensor:
        """Take one step and return its `FIGURES`: float32 (3,), on the device."""
        random = np.random.default_rng((self._seed, self.steps))
        sounds = self._labeller.make(windows, random)
        patches = self._student.choose_patches(windows.rows, windows.share, random).to(self._device)
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            logits, embedding, features = self._student(sounds.rows, patches)
        logits, truth = logits.float()[:, self._classes], sounds.labels.probabilities
        label = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / windows.batch
        likeness = F.mse_loss(embedding.float(), sounds.labels.embeddings)
        in_time = likeness.new_zeros(())
        if min(sounds.ends) == windows.rows:  # all windows are full
            in_time = F.mse_loss(features.float(), sounds.labels.features[:, patches.seen])
        recipe = self._recipe
        loss = label + recipe.embedding_weight * likeness + recipe.features_weight * in_time
        for optimizer, factor in ((self._muon, 1.0), (self._adamw, recipe.rate_of_others)):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._others, recipe.clip_norm)
        self._muon.step()
        self._adamw.step()
        self.steps, self.windows = self.steps + 1, self.windows + windows.batch
        self._update_average()
        lowest = (torch.special.entr(truth) + torch.special.entr(1 - truth)).sum() / windows.batch
        return torch.stack((label.detach() - lowest, likeness.detach(), in_time.detach()))

    @torch.no_grad()
    def _update_average(self) -> None:
        self._averaged += 1
        current = self._student.network.state_dict()
        average = get_ema_multi_avg_fn(self._recipe.kept(self._averaged))  # type: ignore[no-untyped-call]
        average(list(self.mean_weights.values()), [current[key] for key in self.mean_weights], None)

    def restart_average(self) -> None:
        """Forget the weights of the steps so far in the average, which must not reach back behind the falling rate."""
        self._averaged = 0

    def _weights(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of network and heads by name; there are no buffers."""
        parts = {"net": self._student.network, "heads": self._student.heads}
        return {part: dict(module.named_parameters()) for part, module in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return the state for `restore`. The optimizers' parameters are numbered in the order of the weights."""
        weights = self._weights()
        return {
            **{part: {name: x.detach() for name, x in there.items()} for part, there in weights.items()},
            "muon": self._muon.state_dict(),
            "adam": self._adamw.state_dict(),
            "mean": self.mean_weights,
            "seen": self.windows,
            "steps": self.steps,
            "seed": self._seed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, whose weights may have another order.

        Raises
        ------
        KeyError, RuntimeError, ValueError
            It belongs to another network or another teacher.
        """
        self._student.network.load_state_dict(state["net"])
        self._student.heads.load_state_dict(state["heads"])
        own, theirs = _by_optimizer(self._weights()), _by_optimizer(state)
        for optimizer, key, here, there in zip(
            (self._muon, self._adamw), ("muon", "adam"), own, theirs, strict=True
        ):
            groups = optimizer.state_dict()["param_groups"]
            moments = _renumbered(state[key]["state"], there, here)
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        for name, mean in self.mean_weights.items():
            mean.copy_(state["mean"][name])
        self.windows, self.steps = state["seen"], state["steps"]
        self._averaged, self._seed = self.steps, state.get("seed", self._seed)


def _by_optimizer(weights: Mapping[str, Mapping[str, Tensor]]) -> tuple[list[str], list[str]]:
    """Return the names of Muon's parameters, the matrices of the blocks, and of AdamW's, in the order of the weights."""
    network = weights["net"]
    matrices = [name for name, x in network.items() if name.startswith("v.blocks.") and x.ndim == 2]
    return matrices, [name for name in (*network, *weights["heads"]) if name not in set(matrices)]


def _renumbered(state: Mapping[int, Any], names: Sequence[str], new_names: Sequence[str]) -> dict[int, Any]:
    """Return an optimizer's state whose parameters are numbered in another order."""
    numbers = {name: number for number, name in enumerate(new_names)}
    return {numbers[names[number]]: moments for number, moments in state.items()}

"""Fit of a teacher's last layer to the names that people give to sounds.

Teachers know sounds better than their names: in AudioSet, music and speech are nearly everywhere, while footsteps and crying are rarely
labelled. The last layer is therefore fitted once more to the clips for training, near the former one: for clips with names, one of them
is to be the first class (softmax), and all clips keep their labels, raised to the names and lowered where these exclude them (sigmoid). The
layers below stay as they are.
"""

import logging
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

from ..checkpoints.tensors import write_tensors
from ..errors import TrainingError
from .clip_names import lower_other_groups, raise_to_names
from .library import Library
from .teachers import TeacherNetwork

logger = logging.getLogger(__name__)

_LABELS = 0.1
"""Weight of the labels of all clips against the names."""
_BIAS, _WEIGHTS = 2.0, 100.0
"""Weights of squared changes of the offsets, and of the weights for embeddings with a deviation of 1."""
_COMMON = 5.0
"""Number of clips with a name from which on it counts as common."""
_STEPS = 100
_LOWEST = -1e9


def learn_names(network: TeacherNetwork, library: Library) -> None:
    """Fit the last layer of a teacher to the names of a library's clips; without names, it stays as it is.

    Recordings that measure a model are left out.

    Parameters
    ----------
    network : TeacherNetwork
        Teacher, which is changed.
    library : Library
        Its library.
    """
    learned = torch.from_numpy(~library.measured)
    embeddings, head = library.embeddings.float(), network.last_layer
    with torch.no_grad():
        before = _logits(embeddings, head)
        names = [(clip, index) for clip, found in library.names.items() for index in found]
        marked, labels = torch.zeros_like(before), before.sigmoid()
        raise_to_names(marked, names, network.classes)
        lower_other_groups(labels, library.groups, network.classes)
        raise_to_names(labels, names, network.classes)
        named = marked[learned] > 0
        if not named.any():
            return
        weight, bias = _fit(embeddings[learned], before[learned], labels[learned], named)
        head.weight.add_(weight.to(head.weight))
        head.bias.add_(bias.to(head.bias))
        after = _logits(embeddings, head)
    shares = [100 * _first(logits[learned], named) for logits in (after, before)]
    logger.info(
        "the teacher learned names: right first in %.1f instead of %.1f %% of %d clips",
        *shares,
        int(named.any(1).sum()),
    )


def save_teacher(source: Path, network: TeacherNetwork, path: Path) -> None:
    """Write the weights of a teacher with its last layer.

    Parameters
    ----------
    source : Path
        File with the original weights.
    network : TeacherNetwork
        The teacher.
    path : Path
        File to write; a kill leaves the old one or the new one.

    Raises
    ------
    TrainingError
        A file can't be read or written.
    """
    try:
        weights = load_file(source)
        for name, value in network.last_layer.named_parameters():
            key = f"{network.last_layer_name}.{name}"
            weights[key] = value.to(weights[key].dtype)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(weights, path, {})
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} can't be written ({error}): free some space, or give another --out"
        ) from error


def _logits(embeddings: Tensor, head: nn.Linear) -> Tensor:
    """Embeddings float32 (clips, width), on the CPU -> logits float32 (clips, classes)."""
    return F.linear(embeddings, head.weight.float().cpu(), head.bias.float().cpu())


def _fit(embeddings: Tensor, logits: Tensor, labels: Tensor, named: Tensor) -> tuple[Tensor, Tensor]:
    """Return the changes of weights (classes, width) and offsets (classes,)."""
    mean, deviation = embeddings.mean(0), embeddings.std(0, correction=0) + 1e-6
    inputs = (embeddings - mean) / deviation
    rare = (named / (named.sum(0) + _COMMON).sqrt()).sum(1)  # (clips,)
    has_names = named.any(1)
    importance = torch.where(has_names, rare / rare[has_names].mean(), 1.0)
    changes = torch.zeros(len(mean) + 1, logits.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([changes], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        changed = torch.addmm(logits + changes[-1], inputs, changes[:-1])
        rows, right = changed[has_names], named[has_names]
        surprise = rows.logsumexp(1) - rows.masked_fill(~right, _LOWEST).logsumexp(1)
        distance = F.binary_cross_entropy_with_logits(changed, labels, reduction="none").sum(1)
        total = (importance[has_names] * surprise).sum() + _LABELS * (importance * distance).sum()
        total = total + _WEIGHTS * changes[:-1].square().sum() + _BIAS * changes[-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    weight = (changes[:-1].detach() / deviation[:, None]).T  # (classes, width)
    return weight, changes[-1].detach() - weight @ mean


def _first(logits: Tensor, named: Tensor) -> float:
    """Return the share of clips with names whose first class is one of them."""
    has_names = named.any(1)
    right = named[has_names].gather(1, logits[has_names].argmax(1, keepdim=True))
    return float(right.float().mean())

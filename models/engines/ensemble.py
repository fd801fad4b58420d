"""Ensemble of several networks: the mean of their probabilities."""

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

from ..tagger import Activation
from . import Engine, Samples


class EnsembleEngine:
    """Engine that averages the probabilities of its members, like AST's authors (Gong et al. 2021, section 3.1).

    Parameters
    ----------
    members : sequence of Engine
        Engines with the same classes, in the same order; each computes its features.
    activation : {"sigmoid", "softmax"}
        Function from logits to probabilities, the same for all members.
    """

    def __init__(self, members: Sequence[Engine], activation: Activation) -> None:
        self._members = tuple(members)
        self._activation = activation
        descriptions = dict.fromkeys(member.description for member in members)
        self.description = f"{len(self._members)} models, {' + '.join(descriptions)}"

    def __call__(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits of the mean probabilities (batch, classes), embeddings side by side (batch, widths)."""
        results = [member(samples) for member in self._members]
        logits = torch.stack([logits for logits, _ in results])  # (members, batch, classes)
        embeddings = torch.cat([embeddings for _, embeddings in results], -1)
        if self._activation == "softmax":
            return _log_mean(logits.log_softmax(-1)), embeddings
        return _log_mean(F.logsigmoid(logits)) - _log_mean(F.logsigmoid(-logits)), embeddings


def _log_mean(logarithms: Tensor) -> Tensor:
    """Return the logarithm of the mean over the first dimension, exact even for probabilities close to 0 or 1."""
    return reduce(torch.logaddexp, logarithms.unbind()) - math.log(len(logarithms))

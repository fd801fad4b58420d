"""Training of the head alone, on the embeddings of a network whose other weights stay as they are."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn

from .batches import Batch
from .learning import Learning
from .probe import embed, fit_linear


class HeadLearning(Learning):
    """Training of the head of one network.

    Each epoch passes the recordings through the network once, with the recipe's augmentation, and fits the head to the windows of all
    epochs so far. That takes seconds for some hundred recordings, and can't change what the network has learned before.
    """

    _known: tuple[Tensor, Tensor] | None = None
    """Embeddings (n, width) and targets (n, classes) of all windows so far."""

    def run(self, after_step: Callable[[], bool]) -> None:
        """Train until finished, or until `after_step` returns False.

        Raises
        ------
        DivergedError
            The scores are not finite.
        """
        with closing(self._upcoming()) as batches:
            for batch in batches:
                if self.finished:
                    break
                self._add(batch)
                if self.counters.step == self.steps:
                    self._fit()
                    self._end_epoch(rate=0.0)
                if not after_step():
                    break

    def _add(self, batch: Batch) -> None:
        """Embed a batch; its loss is that of the head of the epoch before."""
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            embeddings = embed(self._network, batch.rows).float()
        targets = batch.targets.to(self._device)
        known = self._known
        self._known = (
            (embeddings, targets)
            if known is None
            else (torch.cat((known[0], embeddings)), torch.cat((known[1], targets)))
        )
        with torch.no_grad():
            loss = self._loss(self._network.mlp_head[1](embeddings), targets).item()
        self.counters.loss += loss * len(targets)
        self.counters.windows += len(targets)
        self.counters.step += 1

    def _fit(self) -> None:
        """Fit the head to all windows so far."""
        assert self._known is not None, "a step was done"
        linear = self._network.mlp_head[1]
        assert isinstance(linear, nn.Linear)
        loss = fit_linear(linear, *self._known, self._loss)
        self.counters.loss = loss * self.counters.windows

    def state(self) -> dict[str, Any]:
        """Return the state for `restore`, as tensors and plain values."""
        return super().state() | {"known": self._known}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned.

        Raises
        ------
        KeyError, ValueError, TypeError, RuntimeError
            The state belongs to another training.
        """
        super().restore(state)
        self._known = state["known"]

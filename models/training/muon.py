"""Muon in float32 or bfloat16: `torch.optim.Muon` always takes bfloat16, which takes 40 times as long on a CPU that only emulates it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalise(matrices: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """Move the singular values of float32 matrices (n, rows, columns) near 1, by Newton-Schulz iterations (Jordan et al. 2024).

    The products have `precision`.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).to(precision)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are orthogonalised, scaled to the size of AdamW's (Liu et al. 2025).

    Parameters
    ----------
    params : iterable of tensor or of dict
        Matrices, or groups of them.
    lr, weight_decay : float
        As for AdamW.
    momentum : float
        Share of the running mean of the gradients that stays at a step.
    precision : torch.dtype
        Precision of the orthogonalisation.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        momentum: float = 0.95,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._precision = precision
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move the matrices, those of a shape together."""
        assert closure is None
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for matrices in shapes.values():
                self._move(matrices, group["lr"], group["weight_decay"], group["momentum"])

    def _move(self, matrices: list[Tensor], rate: float, decay: float, momentum: float) -> None:
        directions = []
        for matrix in matrices:
            assert matrix.grad is not None
            mean = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
            mean.lerp_(matrix.grad, 1 - momentum)
            directions.append(matrix.grad.lerp(mean, momentum))  # Nesterov's look ahead
        scale = 0.2 * max(matrices[0].shape) ** 0.5
        steps = orthogonalise(torch.stack(directions), self._precision)
        for matrix, step in zip(matrices, steps, strict=True):
            matrix.mul_(1 - rate * decay).add_(step, alpha=-rate * scale)

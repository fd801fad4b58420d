"""Linear probe: a fit of the head alone, on the embeddings of the network before training.

It keeps the pretrained features: with a random head, the first steps would distort them (Kumar et al., "Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022).
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ..ast_network import AudioSpectrogramTransformer
from .batches import Batch

_DECAY = 1e-3
"""Factor of the weights' squares, which keeps the weights of separable classes finite."""
_ITERATIONS = 200


def fit_head(
    network: AudioSpectrogramTransformer, batches: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Fit the head's linear layer to windows; no other weights change.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        Network, on any device; left in training mode.
    batches : iterable of Batch
        Windows and targets, iterated once.
    loss : callable
        Function of logits (n, classes) and targets (n, classes) that returns a scalar.
    """
    linear = network.mlp_head[1]
    assert isinstance(linear, nn.Linear)
    known = [(embed(network, batch.rows), batch.targets) for batch in batches]
    embeddings = torch.cat([embedding for embedding, _ in known])  # (n, width)
    targets = torch.cat([target for _, target in known]).to(embeddings.device)  # (n, classes)
    fit_linear(linear, embeddings, targets, loss)


@torch.no_grad()
def embed(network: AudioSpectrogramTransformer, rows: Tensor) -> Tensor:
    """Compute the input (n, width) of the head's linear layer from normalised rows (n, rows, bins); the network is left in training mode."""
    network.eval()
    norm = network.mlp_head[0]
    embeddings: Tensor = norm(
        network.forward_embedding(network.forward_features(rows.to(next(norm.parameters()).device)))
    )
    network.train()
    return embeddings


def fit_linear(
    linear: nn.Linear, embeddings: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Fit a linear layer to embeddings (n, width) and targets (n, classes) on the same device; return the loss."""
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(linear(embeddings), targets) + _DECAY * linear.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()
    with torch.no_grad():
        return loss(linear(embeddings), targets).item()

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
    norm, linear = network.mlp_head
    assert isinstance(linear, nn.Linear)
    device = linear.weight.device
    network.eval()
    with torch.no_grad():
        known = [
            (norm(network.forward_embedding(network.forward_features(batch.rows.to(device)))), batch.targets)
            for batch in batches
        ]
    network.train()
    embeddings = torch.cat([embedding for embedding, _ in known])  # (n, width)
    targets = torch.cat([target for _, target in known]).to(device)  # (n, classes)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(linear(embeddings), targets) + _DECAY * linear.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()

"""Fingerprints of models: a text that differs where the weights do."""

import hashlib
from dataclasses import asdict

import torch

from .checkpoints import load_checkpoint, member_specs


def fingerprint_of(model: str, *, offline: bool = False) -> str:
    """Return the fingerprint of a model: a SHA-256 of its weights, configuration and thresholds, in hexadecimal.

    Parameters
    ----------
    model : str
        Name or path, as for `load_tagger`.
    offline : bool
        True to fetch nothing.

    Raises
    ------
    CheckpointError
        The model can't be read.
    """
    digest = hashlib.sha256()
    for spec in member_specs(model):
        checkpoint = load_checkpoint(spec, offline=offline)
        digest.update(repr(asdict(checkpoint.config)).encode())
        digest.update(
            repr((checkpoint.mean, checkpoint.std, checkpoint.activation, checkpoint.thresholds)).encode()
        )
        for name, tensor in sorted(checkpoint.weights.items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

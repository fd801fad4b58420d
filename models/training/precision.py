"""Precision of training."""

from typing import Literal, TypeAlias

import torch

from ..errors import EngineError

TrainingPrecision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


def labelling_precision(device: torch.device) -> torch.dtype:
    """Return the fastest type for a teacher's arithmetic on a device: exact enough for training, not for measurements."""
    return torch.float16 if device.type == "cuda" else mixed_precision(device) or torch.float32


def mixed_precision(device: torch.device, precision: TrainingPrecision = "auto") -> torch.dtype | None:
    """Return the type of the matrix products; None for float32.

    Parameters
    ----------
    device : torch.device
        Device to train on.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Precision; auto takes bfloat16 if the hardware supports it without emulation.

    Raises
    ------
    EngineError
        The device doesn't support the precision.
    """
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp16":
        if device.type != "cuda":
            raise EngineError("fp16 needs a CUDA device: give --precision auto")
        return torch.float16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    capability = torch.cpu.get_capabilities()
    return torch.bfloat16 if capability.get("avx512_bf16") or capability.get("amx_bf16") else None

"""Speed of matrix products on this machine, the upper limit of any network."""

import time

import torch

_SIDE = {"cpu": 2048, "cuda": 8192}
_SECONDS = 0.5
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}


def operations_per_second(precision: str, device: torch.device) -> float:
    """Return the multiplications and additions per second of square matrices, the fastest of a few runs.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16", "int8"}
        Precision of the factors.
    device : torch.device
        Device to run on.
    """
    side = _SIDE[device.type]
    multiply = torch._int_mm if precision == "int8" else torch.mm  # noqa: SLF001 - PyTorch has no other for 8 bits
    factors = torch.randint(-100, 100, (side, side), device=device).to(_DTYPES[precision])
    fastest, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < _SECONDS or fastest == float("inf"):
        run_started = time.perf_counter()
        multiply(factors, factors)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - run_started)
    return 2.0 * side**3 / fastest

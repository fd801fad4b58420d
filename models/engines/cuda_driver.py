"""NVIDIA's driver, looked for without PyTorch."""

import ctypes
import sys


def has_cuda_driver() -> bool:
    """Return False if there is no CUDA device for certain, because NVIDIA's driver is not installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True

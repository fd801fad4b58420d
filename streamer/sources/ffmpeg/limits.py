"""Limits of the FFmpeg process, as far as the system has them."""

import contextlib
import sys

MEMORY_BYTES = 384 << 20
"""Memory of the process beyond its libraries. Real streams need a fifth of it."""

_ADDRESS_BYTES = 2 << 30
_DESCRIPTORS = 64


def limit_process() -> None:
    """Limit memory and open files of this process, and let it write no files and leave no core dump."""
    if sys.platform == "win32":
        return
    import resource

    wanted = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_AS: _ADDRESS_BYTES,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in wanted.items():
        _, most = resource.getrlimit(limit)
        if most == resource.RLIM_INFINITY or value < most:
            with contextlib.suppress(OSError, ValueError):  # macOS does not have all of them
                resource.setrlimit(limit, (value, value))

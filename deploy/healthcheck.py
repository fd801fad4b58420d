"""Health check for containers: succeeds if Earshot sends a watchdog signal within 20 s, as it would to systemd."""

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 20.0


def main() -> int:
    """Wait for a watchdog signal; return the exit code."""
    path = Path(os.environ["NOTIFY_SOCKET"])
    path.unlink(missing_ok=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, contextlib.suppress(TimeoutError):
        listener.bind(str(path))
        while (left := deadline - time.monotonic()) > 0.0:
            listener.settimeout(left)
            if listener.recv(4096) == b"WATCHDOG=1":
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

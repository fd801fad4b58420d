"""Child processes for libraries that hang, crash or grow: started, fed with messages, and killed if they don't answer."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from .queues import BoundedQueue
from .wire import Message

_log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]

_WAITING_MESSAGES = 64

_SHUTDOWN_SECONDS = 0.3
"""Time limit for a process to exit by itself, and again after it is killed: a driver may hang in the kernel."""


class ChildEnded(Exception):  # noqa: N818 - a process that ends has not failed
    """The process has ended by itself; the message says how, such as "exit code 1" or "SIGSEGV"."""


class ChildProcess:
    """Python module in a process of its own, running until the end of the ``with`` block.

    The process ends with the program, also if the program crashes, because its standard input ends then. What it prints to
    standard error goes to the debug log.

    Parameters
    ----------
    module : str
        Name of the module.
    environment : dict of str to str, optional
        Additional variables.

    Raises
    ------
    OSError
        The process can't be started; raised at the beginning of the ``with`` block.
    """

    def __init__(self, module: str, environment: dict[str, str] | None = None) -> None:
        self._module = module
        self._environment = environment or {}
        self._messages: BoundedQueue[Message] = BoundedQueue(_WAITING_MESSAGES, "wait")
        self._received: deque[Message] = deque()

    def __enter__(self) -> Self:
        path = list(filter(None, sys.path))  # as here, so that nothing hides the standard library
        if str(_ROOT) not in path:
            path.insert(0, str(_ROOT))
        self._process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-P", "-m", self._module],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)} | self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._commands = cast("IO[bytes]", self._process.stdin)
        try:
            for run, stream in ((self._read, self._process.stdout), (self._log, self._process.stderr)):
                threading.Thread(target=run, args=(stream,), name=self._module, daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._process.kill()
            raise OSError(None, str(error)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        with contextlib.suppress(OSError):  # the process has ended before
            self._commands.close()
        if not self._ended():
            self._process.kill()
            self._ended()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until the process has ended; after the ``with`` block, only if it can't be killed."""
        return self._process.poll() is None

    @property
    def closed(self) -> bool:
        """True once no more messages are accepted."""
        return self._messages.closed

    def close(self) -> None:
        """Interrupt a waiting call. Safe from any thread, and more than once."""
        self._messages.close()

    def send(self, kind: int, content: bytes) -> None:
        """Send a message. If the process has ended, `receive` says so."""
        with contextlib.suppress(OSError):
            Message(kind, content).send(self._commands)

    def receive(self, timeout_seconds: float) -> Message | None:
        """Return the next message; None if none arrives in time, and after `close`.

        Raises
        ------
        ChildEnded
            The process has ended by itself.
        """
        if not self._received:
            self._received.extend(self._messages.take(timeout_seconds))
        return self._received.popleft() if self._received else None

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while message := Message.receive(stream):
                if not self._messages.put(message):
                    return
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._messages.fail(ChildEnded(how))

    def _log(self, stream: IO[bytes]) -> None:
        """Log what libraries print from C, so that it stays off the terminal."""
        with stream:
            for line in stream:
                _log.debug("%s: %s", self._module, line.decode(errors="replace").strip())

    def _ended(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SHUTDOWN_SECONDS)
        return self._process.returncode is not None

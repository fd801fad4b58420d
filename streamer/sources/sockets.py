"""Raw samples from a program that connects to a socket of this machine, in the format of `pcm`."""

import errno
import ipaddress
import os
import re
import select
import socket
import stat
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import NetworkError, SourceError
from ..messages import AudioChunk
from ..runtime.files import expanded
from .pcm import PcmInput
from .url import without_secrets

_POLL_MILLISECONDS = 200
_CONNECT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Address to listen on: a port of the loopback interface, or a Unix socket.

    Attributes
    ----------
    host : str
        Loopback address; empty for a Unix socket.
    port : int
        TCP port.
    path : Path or None
        Path of the Unix socket.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


def is_socket(address: str) -> bool:
    """Return True for the address of a socket."""
    return address.startswith("unix:") or address.lower().startswith("tcp://")


def parse_socket(address: str) -> SocketAddress:
    """Parse ``tcp://127.0.0.1:PORT`` or ``unix:/path``.

    Raises
    ------
    SourceError
        The address is malformed, or reachable from other machines.
    """
    if sys.platform == "win32":
        raise SourceError("sockets are not supported on Windows; pipe the samples into the source - instead")
    if address.startswith("unix:"):
        path = expanded(Path(address.removeprefix("unix:")))
        if not path.is_absolute():
            raise SourceError(
                f"{address} is not an absolute path; write it as unix:/run/user/1000/earshot.pcm"
            )
        return SocketAddress(path=path)
    found = re.fullmatch(
        r"tcp://(?:\[([^\]]+)\]|([^:/\[\]]+)):(\d{1,5})/?", address, re.IGNORECASE | re.ASCII
    )
    if found is None or not 0 < int(found[3]) < 65_536:
        raise SourceError(
            f"{without_secrets(address)!r} is not a port to listen on; write it as tcp://127.0.0.1:7000"
        )
    host = found[1] or found[2]
    host = "127.0.0.1" if host.lower() == "localhost" else host
    if not _is_loopback(host):
        raise SourceError(
            f"{without_secrets(address)} would let other machines send audio; listen on 127.0.0.1 and forward audio from elsewhere "
            "with ssh -L, or use a stream at rtsp:// or http://"
        )
    return SocketAddress(host, int(found[3]))


class PcmSocket:
    """Samples from another program on this machine: s16le, 16 kHz, mono, without a header.

    Only one program can be connected. When it disconnects, `chunks` fails, and waits for the next program when called
    again. When it sends nothing for 15 s, `chunks` fails too, and waits for more from the same program. A Unix socket is accessible to its owner only, and exists while `chunks` waits for a program.

    Parameters
    ----------
    name : str
        Name for people.
    address : SocketAddress
        Address to listen on.
    """

    def __init__(self, name: str, address: SocketAddress) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 0.5
        self.repaired_samples = 0
        self._address = address
        self._closed = threading.Event()
        self._samples: PcmInput | None = None
        self._connection: socket.socket | None = None
        self._reading = threading.Lock()

    def check(self) -> None:
        """Check that the address can be listened on.

        Raises
        ------
        NetworkError
            The port or path is in use or forbidden.
        """
        with self._listening():
            pass

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Wait for a program to connect, and yield its samples.

        Raises
        ------
        SourceError
            The program has disconnected, sends nothing or no raw samples, or the address can't be listened on.
        """
        with self._reading:
            if self._connection is None:
                self._connection = self._accept()
            if self._connection is None:
                return
            try:
                yield from self._received(self._connection)
            finally:
                if self._closed.is_set() or self._samples is None or not self._samples.is_silent:
                    self._disconnect()
        if not self._closed.is_set():
            raise NetworkError(f"the sender to {self._address} has disconnected; start it again")

    def close(self) -> None:
        """Make `chunks` end soon."""
        self._closed.set()
        if (samples := self._samples) is not None:
            samples.close()
        if self._reading.acquire(blocking=False):  # else `chunks` disconnects
            self._disconnect()
            self._reading.release()

    def _received(self, connection: socket.socket) -> Generator[AudioChunk, None, None]:
        if self._samples is None:
            self._samples = PcmInput(self.name, connection.fileno())
        if not self._closed.is_set():
            yield from self._samples.chunks()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._samples = None

    def _accept(self) -> socket.socket | None:
        """Wait for a program to connect; return None if the source is closed before."""
        with self._listening() as listener:
            poll = select.poll()  # unlike select, it takes descriptors above 1023
            poll.register(listener, select.POLLIN)
            while not self._closed.is_set():
                try:
                    if poll.poll(_POLL_MILLISECONDS):
                        return listener.accept()[0]
                except OSError as error:
                    raise NetworkError(
                        f"can't accept a connection to {self._address} ({error.strerror}); close other programs, or raise "
                        "the limit of open files"
                        if error.errno in {errno.EMFILE, errno.ENFILE}
                        else f"can't accept a connection to {self._address} ({error.strerror}); start the sender again"
                    ) from error
        return None

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """Listen for one program until the end of the block."""
        address = self._address
        with ExitStack() as stack:
            try:
                if address.path is not None:
                    listener = stack.enter_context(_listening_at(address.path))
                else:
                    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
                    listener = stack.enter_context(
                        socket.create_server((address.host, address.port), family=family, backlog=1)
                    )
            except OSError as error:
                reason = (
                    os.strerror(error.errno) if error.errno else error
                )  # Python's own repeats the address
                raise NetworkError(f"can't listen on {address} ({reason}); give another address") from error
            yield listener


@contextmanager
def _listening_at(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only its owner can connect to, and remove it afterwards."""
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)  # nobody can connect before `listen`
        inode = path.lstat().st_ino
        try:
            listener.listen(1)
            yield listener
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove a socket left by a killed program; refuse to remove anything else."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise NetworkError(f"{path} exists and is not a socket; give another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(_CONNECT_SECONDS)
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise NetworkError(f"another program listens on {path}; stop it, or give another path")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Bare samples from whoever connects to a socket of this machine, in the format that `pcm` reads."""

import ipaddress
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
from .address import without_secrets
from .pcm import PcmInput

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Where to listen: on a port of the loopback, or on a Unix socket.

    Attributes
    ----------
    host : str
        An address of the loopback; empty for a Unix socket.
    port : int
        TCP port.
    path : Path or None
        Of the Unix socket.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


def is_socket(what: str) -> bool:
    """Whether a specification means a socket."""
    return what.startswith("unix:") or what.lower().startswith("tcp://")


def parse_socket(what: str) -> SocketAddress:
    """Read ``tcp://127.0.0.1:PORT`` or ``unix:/path``.

    Raises
    ------
    SourceError
        It is malformed, or not of this machine alone.
    """
    if sys.platform == "win32":
        raise SourceError("sockets can't be listened on here; pipe the samples into the source - instead")
    if what.startswith("unix:"):
        path = Path(what.removeprefix("unix:")).expanduser()
        if not path.is_absolute():
            raise SourceError(f"{what} is no whole path; write it as unix:/run/user/1000/earshot.pcm")
        return SocketAddress(path=path)
    found = re.fullmatch(r"tcp://(?:\[([^\]]+)\]|([^:/\[\]]+)):(\d{1,5})/?", what, re.IGNORECASE | re.ASCII)
    if found is None or not 0 < int(found[3]) < 65_536:
        raise SourceError(
            f"{without_secrets(what)!r} is no port to listen on; write it as tcp://127.0.0.1:7000"
        )
    host = found[1] or found[2]
    host = "127.0.0.1" if host.lower() == "localhost" else host
    if not _is_loopback(host):
        raise SourceError(
            f"{without_secrets(what)} would let others on the network send sound; listen on 127.0.0.1, and have what comes from elsewhere sent "
            "through ssh -L, or name a stream at rtsp:// or http://"
        )
    return SocketAddress(host, int(found[3]))


class PcmSocket:
    """Samples that another program on this machine sends, s16le at 16 kHz, mono, without a header.

    One program is served at a time; while it is, nobody else can connect. That it has gone is a failure, after which `chunks`
    waits for the next one. A Unix socket is its owner's alone, and is there while somebody is waited for.

    Parameters
    ----------
    name : str
        What people call it.
    address : SocketAddress
        Where to listen.
    """

    def __init__(self, name: str, address: SocketAddress) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 0.5
        self.repaired_samples = 0
        self._address = address
        self._closed = threading.Event()
        self._samples: PcmInput | None = None

    def check(self) -> None:
        """See whether one can listen there, and do so for a moment.

        Raises
        ------
        NetworkError
            The port or the path is taken or forbidden.
        """
        with self._listening():
            pass

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Wait for a program to connect, and yield what it sends.

        Raises
        ------
        SourceError
            It has gone, or what it sends can't be sound; or nobody can connect.
        """
        connection = self._accepted()
        if connection is None:
            return
        with connection:
            self._samples = PcmInput(self.name, connection.fileno())
            if not self._closed.is_set():
                yield from self._samples.chunks()
        if not self._closed.is_set():
            raise NetworkError(f"nobody sends to {self._address} any more: start what sends to it again")

    def close(self) -> None:
        """Make `chunks` end soon."""
        self._closed.set()
        if self._samples is not None:
            self._samples.close()

    def _accepted(self) -> socket.socket | None:
        """Wait for a program to connect; None if the source is closed before."""
        with self._listening() as listener:
            while not self._closed.is_set():
                if select.select([listener], [], [], _POLL_SECONDS)[0]:
                    return listener.accept()[0]
        return None

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """Let one program connect, as long as the block lasts."""
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
                raise NetworkError(
                    f"{address} can't be listened on ({error.strerror or error}): give another one"
                ) from error
            yield listener


@contextmanager
def _listening_at(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that its owner alone can connect to, and remove it afterwards."""
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)  # nobody can connect before `listen`
        made = path.lstat().st_ino
        try:
            listener.listen(1)
            yield listener
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == made:
                    path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove a socket that a program which was killed has left; nothing else."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise NetworkError(f"{path} is there already and is no socket: give another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(_POLL_SECONDS)
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise NetworkError(f"another program listens on {path}: end it, or give another path")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

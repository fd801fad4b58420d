"""Sources of audio. At the edge of each source, audio becomes 16 kHz mono float32, counted in samples."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from ..errors import DeviceError, SourceError
from ..messages import AudioChunk
from .address import (
    MAX_NAME_CHARACTERS,
    check_name,
    is_file,
    is_socket_source,
    is_standard_input,
    join_address,
    may_have_secret,
    name_fault,
    split_address,
)
from .sockets import PcmSocket, is_socket, parse_socket
from .url import has_secret, hide_addresses, is_mistyped, is_url, parse_url, without_secrets

__all__ = [
    "DEMO_PATH",
    "Source",
    "has_secret",
    "hide_addresses",
    "is_socket_source",
    "is_standard_input",
    "join_address",
    "may_have_secret",
    "name_fault",
    "open_source",
    "split_address",
    "without_secrets",
]

DEMO_PATH = Path(__file__).parent.parent / "assets" / "demo.ogg"
"""Recording of the source `demo`: a minute of speech, music, alarms and silence."""


class Source(Protocol):
    """Stream of audio, read by one thread.

    Attributes
    ----------
    name : str
        Name for people; the key of its topics, windows and tags.
    live : bool
        True if audio arrives in real time (a microphone, a recording played in real time). Otherwise latency is
        meaningless and not reported.
    retry_seconds : float or None
        Longest pause before the source is opened again after a failure; None if it is not opened again (a recording,
        standard input).
    repaired_samples : int
        NaN or infinite samples that were replaced by silence so far.
    """

    name: str
    live: bool
    retry_seconds: float | None
    repaired_samples: int

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Open the source and yield its chunks in order, until it ends or is closed. It may be called again afterwards.

        The generator holds the device or file; closing it releases them.

        Raises
        ------
        SourceError
            The source can't be opened, or has failed.
        """
        ...

    def close(self) -> None:
        """Make `chunks` end soon. Safe from any thread, and more than once."""
        ...


def open_source(
    address: str, *, name: str = "", fast: bool = False, allow_missing: bool = False, in_use: bool = False
) -> Source:
    """Create the source at an address, and check that it is available.

    Nothing is recorded or played yet. Libraries are imported only for the kinds of sources that need them.

    Parameters
    ----------
    address : str
        ``mic``, ``mic:NAME-OR-INDEX``, ``mic:NAME#CHANNEL``, a file, ``FILE#CHANNEL``, ``rtsp://…``, ``rtsps://…``, ``http://…``,
        ``https://…``, ``-`` (s16le 16 kHz mono on standard input), ``tcp://127.0.0.1:PORT`` or ``unix:/path`` (the same
        format from a program that connects), or ``demo``; ``NAME=`` before it sets the name. Behind a file or URL, ``#2``
        selects a channel and ``#track=2`` an audio track.
    name : str
        Name of the source; if given, the address contains none.
    fast : bool
        Read recordings and standard input as fast as possible instead of in real time.
    allow_missing : bool
        Accept a microphone that is not plugged in yet.
    in_use : bool
        Accept a socket on which a source listens that is about to be closed.

    Raises
    ------
    SourceError
        The address is invalid, or the source is not available.
    """
    name, address = (name, address) if name else split_address(address)
    check_name(name)
    if address == "mic" or address.startswith("mic:"):
        return _microphone(name, address, allow_missing=allow_missing)
    if is_socket(address):
        return _socket(name, address, in_use=in_use)
    if is_url(address):
        return _network(name, address)
    if address == "-":
        return _standard_input(name, fast=fast)
    if is_mistyped(address) and not is_file(address) and not is_file(address.rpartition("#")[0]):
        raise SourceError(f"{without_secrets(address)} is neither a file nor a URL; check its spelling")
    return _recording(name, address, fast=fast)


def is_patient(source: Source) -> bool:
    """Return True if a source waits until it is read, as a recording does."""
    return not source.live or bool(getattr(source, "is_patient", False))


def _microphone(name: str, address: str, *, allow_missing: bool) -> Source:
    from .devices import split_microphone
    from .microphone import Microphone, find_device

    device, channel = split_microphone(address)
    if address != "mic" and device is None and channel is None:
        raise SourceError("mic: names no microphone; write mic for the default one, or mic:NAME")
    try:
        found = find_device(device, channel)
        default_name = "mic" if device is None else found.short_name
    except DeviceError:
        if not allow_missing:
            raise
        default_name = "mic" if device is None else str(device)
    if not name:
        name = _short(default_name if channel is None else f"{default_name} {channel}")
    return Microphone(name, device, channel)


def _standard_input(name: str, *, fast: bool) -> Source:
    from .pcm import PcmInput

    if sys.stdin is None:
        raise SourceError("there is no standard input to read; start the program from a terminal or a pipe")
    source = PcmInput(name or "stdin", sys.stdin.fileno(), live=not fast)
    source.check()
    return source


def _network(name: str, address: str) -> Source:
    from .network import NetworkStream

    url = parse_url(address)
    channel = url.selection.channel
    default_name = url.host if channel is None else f"{url.host} {channel}"
    return NetworkStream(name or _short(default_name), url)


def _socket(name: str, address: str, *, in_use: bool) -> Source:
    socket = parse_socket(address)
    default_name = f"port {socket.port}" if socket.path is None else socket.path.stem
    source = PcmSocket(name or _short(default_name), socket)
    if not in_use:
        source.check()
    return source


def _recording(name: str, address: str, *, fast: bool) -> Source:
    from .recording import Recording, parse_recording

    if address == "demo":
        source = Recording(name or "demo", DEMO_PATH, live=not fast, loop=not fast, isolated=False)
    else:
        path, selection = parse_recording(address)
        stem = Path(path).stem
        default_name = stem if selection.channel is None else f"{stem} {selection.channel}"
        source = Recording(name or _short(default_name), path, live=not fast, selection=selection)
    source.check()
    return source


def _short(default_name: str) -> str:
    """Return a default name within the limit for names."""
    return default_name[:MAX_NAME_CHARACTERS].strip()

"""Where sound comes from. Behind its own edge every source is 16 kHz mono float32, counted in samples."""

import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from ..errors import DeviceError, SourceError
from ..messages import AudioChunk
from .address import has_secret, is_address, parse_address, without_secrets
from .sockets import PcmSocket, is_socket, parse_socket

__all__ = [
    "DEMO_PATH",
    "Source",
    "has_secret",
    "is_sent_to",
    "is_standard_input",
    "named",
    "open_source",
    "without_secrets",
]

DEMO_PATH = Path(__file__).parent.parent / "assets" / "demo.ogg"
"""The recording behind the source `demo`: a minute of speech, music, alarms and silence."""


class Source(Protocol):
    """One stream of sound, read by one thread.

    Attributes
    ----------
    name : str
        What people call it; the key of its topics, windows and tags.
    live : bool
        Whether a clock paces it (a microphone, a recording played in real time). Where none does, latency
        means nothing and is not reported.
    retry_seconds : float or None
        It is opened again for ever after it has failed, with pauses that grow to as long; None for what does not come back: a
        recording, standard input.
    repaired_samples : int
        Samples so far that were not numbers and were replaced by silence.
    """

    name: str
    live: bool
    retry_seconds: float | None
    repaired_samples: int

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Open the source and yield its chunks in order, until it ends for good or is closed. May be called again after that.

        The generator holds the device or file: closing it releases them.

        Raises
        ------
        SourceError
            It can't be opened, or has failed; one sentence says what to do.
        """
        ...

    def close(self) -> None:
        """Make `chunks` end soon. Safe from any thread, and more than once."""
        ...


def open_source(spec: str, *, fast: bool = False, patient: bool = False) -> Source:
    """Make the source that a specification on the command line means, and see that it is there.

    Nothing is recorded or played yet. Libraries are imported for the kinds that need them, when they do.

    Parameters
    ----------
    spec : str
        ``mic``, ``mic:NAME-OR-INDEX``, ``mic:NAME#CHANNEL``, a file, ``rtsp://…``, ``rtsps://…``, ``http://…``,
        ``https://…``, ``-`` (s16le 16 kHz mono on standard input), ``tcp://127.0.0.1:PORT`` or ``unix:/path`` (the same
        from who connects), or ``demo``; ``NAME=`` before it names it.
    fast : bool
        Read recordings and standard input as fast as possible instead of in real time.
    patient : bool
        Whether a microphone may be missing as yet: whoever reads it will see.

    Raises
    ------
    SourceError
        The specification says nothing we know, or what it means is not there.
    """
    name, what = _named(spec)
    if what == "mic" or what.startswith("mic:"):
        return _microphone(name, what, patient=patient)
    if is_socket(what):
        return _socket(name, what)
    if is_address(what):
        return _network(name, what)
    if what == "-":
        return _standard_input(name, fast=fast)
    return _recording(name, what, fast=fast)


def is_standard_input(spec: str) -> bool:
    """Whether a specification means samples on standard input, which can be read but once."""
    return _named(spec)[1] == "-"


def is_sent_to(spec: str) -> bool:
    """Whether a specification means a socket, which has no sound before somebody connects."""
    return is_socket(_named(spec)[1])


def _named(spec: str) -> tuple[str, str]:
    """Split ``NAME=SPEC``; a file whose own name has an equals sign needs no name before it."""
    name, equals, what = spec.partition("=")
    if not equals or re.search(r"[/\\:]", name) or _is_file(spec):
        name, what = "", spec
    elif not name.strip():
        raise SourceError(f"{spec} has no name before the equals sign; write it as NAME=SOURCE")
    if not what.strip():
        raise SourceError(f"{spec!r} is no source; use mic, mic:NAME, a file, - or demo")
    return name.strip(), what.strip()


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # it is too long for a name, or has a zero byte in it
        return False


def named(name: str, spec: str) -> str:
    """Write a specification with a name of its own.

    Raises
    ------
    SourceError
        The name can't stand there.
    """
    text = f"{name}={spec}"
    if _named(text) != (name, spec):
        raise SourceError(f"a source called '{name}' can't be saved: start it with another name, NAME=SOURCE")
    return text


def _microphone(name: str, what: str, *, patient: bool) -> Source:
    from .microphone import Microphone, find_device

    wanted, channel = what.removeprefix("mic").removeprefix(":"), None
    if match := re.fullmatch(r"(.*)#(\d+)", wanted):
        wanted, channel = match[1], int(match[2])
    if what != "mic" and not wanted and channel is None:
        raise SourceError("mic: names no microphone; write mic for the usual one, or mic:NAME")
    device = int(wanted) if wanted.isdecimal() else wanted or None
    try:
        found = find_device(device, channel)
        usual_name = found.short_name if wanted else "mic"
    except DeviceError:
        if not patient:
            raise
        usual_name = wanted or "mic"
    if not name:
        name = usual_name if channel is None else f"{usual_name} {channel}"
    return Microphone(name, device, channel)


def _standard_input(name: str, *, fast: bool) -> Source:
    from .pcm import PcmInput

    if sys.stdin is None:
        raise SourceError("there is no standard input to read; start the program from a terminal or a pipe")
    source = PcmInput(name or "stdin", sys.stdin.fileno(), live=not fast)
    source.check()
    return source


def _network(name: str, what: str) -> Source:
    from .network import NetworkStream

    address = parse_address(what)
    return NetworkStream(name or address.host, address)


def _socket(name: str, what: str) -> Source:
    address = parse_socket(what)
    usual = f"port {address.port}" if address.path is None else address.path.stem
    source = PcmSocket(name or usual, address)
    source.check()
    return source


def _recording(name: str, what: str, *, fast: bool) -> Source:
    from .recording import Recording

    if what == "demo":
        source = Recording(name or "demo", DEMO_PATH, live=not fast, loop=not fast)
    else:
        source = Recording(name or Path(what).stem, what, live=not fast)
    source.check()
    return source

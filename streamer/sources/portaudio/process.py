"""The program's side of a PortAudio process: starts it, asks it, and kills it when it doesn't answer."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from ...errors import DeviceError
from ...runtime.queues import BoundedQueue
from .wire import Kind, Message, Stamp

_logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[3]

_LISTING_SECONDS = 10.0
"""PortAudio asks every device when it starts; one that is about to wake up takes some seconds."""

_OPENING_SECONDS = 5.0
"""Until a device is open, and until its first block."""

_STALL_SECONDS = 2.0
"""A device that delivers nothing for as long has stopped, whatever its driver says."""

_PARTING_SECONDS = 0.3
"""How long the process may take to end by itself, and then to be killed: a driver that hangs in the kernel isn't waited for."""

_WAITING_MESSAGES = 64
"""Nothing is lost when they are full: the process keeps more, and counts what it can't."""

_SENTENCES = {
    "load": "PortAudio is missing: install it with `sudo apt-get install libportaudio2`, or use `--source demo`, which works "
    "without",
    "start": "PortAudio can't start ({reason}); restart the sound system, or use `--source demo`",
    "list": "PortAudio can't list the microphones ({reason}); restart the sound system",
    "record": "{device} can't be recorded ({reason}); see whether another program holds it, or name another one of those that "
    "`devices` lists",
    "stop": "{device} has stopped recording; see whether it is still plugged in",
    "go on": "{device} can't be recorded further ({reason}); plug it in anew",
    "play": "nothing can be played ({reason}); see whether a loudspeaker is there",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a device was opened with.

    Attributes
    ----------
    rate_hz : float
        Of its frames.
    channels : int
        Of each frame.
    latency_seconds : float
        How old a block is when it is delivered, by its driver's account.
    """

    rate_hz: float
    channels: int
    latency_seconds: float


class PortAudioProcess:
    """PortAudio in a process of its own, for as long as the ``with`` block lasts.

    Its methods raise a `DeviceError` when PortAudio is missing or doesn't work, when a device or its driver refuses, hangs or
    crashes, and after `close`.
    """

    def __init__(self) -> None:
        self._messages: BoundedQueue[Message] = BoundedQueue(_WAITING_MESSAGES, "wait")
        self._received: deque[Message] = deque()
        self._subject = "the sound system"

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "streamer.sources.portaudio.child"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise DeviceError(
                f"no process can be started for PortAudio ({error.strerror}); end other programs"
            ) from error
        self._orders = cast("IO[bytes]", self._process.stdin)
        for work, stream in ((self._listen, self._process.stdout), (_log, self._process.stderr)):
            threading.Thread(target=work, args=(stream,), name="portaudio", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        with contextlib.suppress(OSError):  # it has ended before
            self._orders.close()
        if not self._ended():
            self._process.kill()
            if not self._ended():
                _logger.warning("%s: its driver hangs, and a process is left behind with it", self._subject)

    def close(self) -> None:
        """Wake who waits for an answer. Safe from any thread, and more than once."""
        self._messages.close()

    def devices(self) -> list[dict[str, Any]]:
        """Return what can record, in PortAudio's order: index, name, host_api, channels, rate_hz and is_default of each."""
        answer = self._receive(
            _LISTING_SECONDS,
            f"the sound system does not answer for {_LISTING_SECONDS:.0f} s; restart it, or unplug what was plugged in last",
        )
        devices: list[dict[str, Any]] = json.loads(answer)
        return devices

    def record(self, name: str, *, index: int, rate_hz: float, channels: Sequence[int]) -> Opened:
        """Begin to record a device.

        Parameters
        ----------
        name : str
            What to call it in errors.
        index : int
            Its place in PortAudio's list.
        rate_hz : float
            The rate that is tried before the usual ones.
        channels : sequence of int
            How many channels to open: the first number that it takes.
        """
        self._subject = name
        order = {"index": index, "rate_hz": rate_hz, "channels": channels}
        self._tell(Message(Kind.RECORD, json.dumps(order).encode()))
        return Opened(**json.loads(self._receive(_OPENING_SECONDS, self._silent(_OPENING_SECONDS))))

    def blocks(self) -> Iterator[tuple[Stamp, memoryview]]:
        """Yield what is recorded: when it was, and its frames (float32)."""
        patience = _OPENING_SECONDS
        while True:
            yield Stamp.unpacked(self._receive(patience, self._silent(patience)))
            patience = _STALL_SECONDS

    def play(self, samples: bytes) -> None:
        """Begin to play samples (float32, mono, 16 kHz) on the default output."""
        self._tell(Message(Kind.PLAY, samples))
        self._receive(_OPENING_SECONDS, "nothing can be played: the sound system does not answer; restart it")

    def _silent(self, seconds: float) -> str:
        return (
            f"{self._subject} has delivered no sound for {seconds:.0f} s; see whether it is plugged in, and whether the "
            "system's privacy settings allow it"
        )

    def _tell(self, order: Message) -> None:
        with contextlib.suppress(BrokenPipeError):  # why it has ended is among what it said
            order.send(self._orders)

    def _receive(self, seconds: float, complaint: str) -> bytes:
        """Return the content of the next message, which has a time to come."""
        if not self._received:
            self._received.extend(self._messages.take(seconds))
        if not self._received:
            raise DeviceError(complaint)
        message = self._received.popleft()
        if message.kind is Kind.FAILED:
            failure = json.loads(message.content)
            raise DeviceError(
                _SENTENCES[failure["work"]].format(device=self._subject, reason=failure["reason"])
            )
        return message.content

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            while message := Message.receive(stream):
                if not self._messages.put(message):
                    return
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._messages.fail(
            DeviceError(
                f"{self._subject}: its driver has crashed ({how}); plug it in anew, or restart the sound system"
            )
        )

    def _ended(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PARTING_SECONDS)
        return self._process.returncode is not None


def _log(stream: IO[bytes]) -> None:
    """Keep off the terminal what ALSA, PortAudio and JACK write to it from C while they look around."""
    with stream:
        for line in stream:
            _logger.debug("%s", line.decode(errors="replace").strip())

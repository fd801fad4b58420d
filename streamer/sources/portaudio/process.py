"""Client of a PortAudio process: starts it, sends it commands, and kills it if it doesn't answer."""

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
"""PortAudio queries every device at its start; a suspended one takes seconds to wake up."""

_OPENING_SECONDS = 5.0
"""Time limit for opening a device, and for its first block."""

_STALL_SECONDS = 2.0
"""Time without a block after which a device counts as stopped, whatever its driver reports."""

_SHUTDOWN_SECONDS = 0.3
"""Time limit for the process to exit by itself, and again after it is killed: a driver may hang in the kernel."""

_WAITING_MESSAGES = 64
"""Capacity of the queue. Nothing is lost when it is full: the process has a longer queue, and counts what it drops."""

_MESSAGES = {
    "load": "PortAudio is missing: install it with `sudo apt-get install libportaudio2`, or use `--source demo`, which works "
    "without it",
    "start": "PortAudio can't start ({reason}); restart the sound system, or use `--source demo`",
    "list": "PortAudio can't list the microphones ({reason}); restart the sound system",
    "record": "{device} can't be recorded ({reason}); check whether another program uses it, or choose another microphone from "
    "`earshot devices`",
    "stop": "{device} has stopped recording; check that it is still plugged in",
    "go on": "{device} can't be recorded any more ({reason}); unplug it and plug it in again",
    "play": "can't play audio ({reason}); check that a loudspeaker is connected",
}


@dataclass(frozen=True, slots=True)
class DeviceFormat:
    """Format of an opened device.

    Attributes
    ----------
    rate_hz : float
        Sample rate.
    channels : int
        Number of channels.
    latency_seconds : float
        Age of a block at its delivery, as reported by the driver.
    """

    rate_hz: float
    channels: int
    latency_seconds: float


class PortAudioProcess:
    """PortAudio process, running until the end of the ``with`` block.

    Its methods raise a `DeviceError` if PortAudio is missing or doesn't work, if a device or its driver refuses, hangs or
    crashes, and after `close`.
    """

    def __init__(self) -> None:
        self._messages: BoundedQueue[Message] = BoundedQueue(_WAITING_MESSAGES, "wait")
        self._received: deque[Message] = deque()
        self._device = "the sound system"

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
                f"can't start a process for PortAudio ({error.strerror}); close other programs"
            ) from error
        self._commands = cast("IO[bytes]", self._process.stdin)
        for run, stream in ((self._read, self._process.stdout), (_log, self._process.stderr)):
            threading.Thread(target=run, args=(stream,), name="portaudio", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        with contextlib.suppress(OSError):  # the process has ended before
            self._commands.close()
        if not self._ended():
            self._process.kill()
            if not self._ended():
                _logger.warning("%s: its driver hangs; a process remains and can't be killed", self._device)

    def close(self) -> None:
        """Interrupt a waiting call. Safe from any thread, and more than once."""
        self._messages.close()

    def devices(self) -> list[dict[str, Any]]:
        """Return the recording devices, in PortAudio's order: index, name, host_api, channels, rate_hz and is_default of each."""
        answer = self._receive(
            _LISTING_SECONDS,
            f"the sound system has not answered for {_LISTING_SECONDS:.0f} s; restart it, or unplug the newest device",
        )
        devices: list[dict[str, Any]] = json.loads(answer)
        return devices

    def record(self, name: str, *, index: int, rate_hz: float, channels: Sequence[int]) -> DeviceFormat:
        """Start recording a device.

        Parameters
        ----------
        name : str
            Name of the device for errors.
        index : int
            Index in PortAudio's list.
        rate_hz : float
            Sample rate to try first.
        channels : sequence of int
            Numbers of channels to try, in this order.
        """
        self._device = name
        command = {"index": index, "rate_hz": rate_hz, "channels": channels}
        self._send(Message(Kind.RECORD, json.dumps(command).encode()))
        return DeviceFormat(**json.loads(self._receive(_OPENING_SECONDS, self._no_audio(_OPENING_SECONDS))))

    def blocks(self) -> Iterator[tuple[Stamp, memoryview]]:
        """Yield the recorded blocks: stamp, and frames (float32)."""
        timeout = _OPENING_SECONDS
        while True:
            yield Stamp.unpacked(self._receive(timeout, self._no_audio(timeout)))
            timeout = _STALL_SECONDS

    def play(self, samples: bytes) -> None:
        """Start playing samples (float32, mono, 16 kHz) on the default output."""
        self._send(Message(Kind.PLAY, samples))
        self._receive(_OPENING_SECONDS, "can't play audio: the sound system does not answer; restart it")

    def _no_audio(self, seconds: float) -> str:
        return (
            f"{self._device} has delivered no audio for {seconds:.0f} s; check that it is plugged in, and that the "
            "system's privacy settings allow recording"
        )

    def _send(self, command: Message) -> None:
        with contextlib.suppress(BrokenPipeError):  # its last message has the reason
            command.send(self._commands)

    def _receive(self, timeout_seconds: float, sentence: str) -> bytes:
        """Return the content of the next message; raise a `DeviceError` with the sentence if none arrives in time."""
        if not self._received:
            self._received.extend(self._messages.take(timeout_seconds))
        if not self._received:
            raise DeviceError(sentence)
        message = self._received.popleft()
        if message.kind is Kind.FAILED:
            failure = json.loads(message.content)
            raise DeviceError(
                _MESSAGES[failure["operation"]].format(device=self._device, reason=failure["reason"])
            )
        return message.content

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while message := Message.receive(stream):
                if not self._messages.put(message):
                    return
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._messages.fail(
            DeviceError(
                f"{self._device}: its driver has crashed ({how}); unplug it and plug it in again, or restart the sound system"
            )
        )

    def _ended(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SHUTDOWN_SECONDS)
        return self._process.returncode is not None


def _log(stream: IO[bytes]) -> None:
    """Log what ALSA, PortAudio and JACK print from C, so that it stays off the terminal."""
    with stream:
        for line in stream:
            _logger.debug("%s", line.decode(errors="replace").strip())

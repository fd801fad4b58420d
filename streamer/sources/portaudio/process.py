"""Client of a PortAudio process: starts it, sends it commands, and kills it if it doesn't answer."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ...errors import DeviceError
from ...runtime.children import ChildEnded, ChildProcess
from .wire import Kind, Stamp

_log = logging.getLogger(__name__)

_LISTING_SECONDS = 10.0
"""PortAudio queries every device at its start; a suspended one takes seconds to wake up."""

_OPENING_SECONDS = 5.0
"""Time limit for opening a device, and for its first block."""

_STALL_SECONDS = 2.0
"""Time without a block after which a device counts as stopped, whatever its driver reports."""

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
        self._child = ChildProcess("streamer.sources.portaudio.child")
        self._device = "the sound system"

    def __enter__(self) -> Self:
        try:
            self._child.__enter__()
        except OSError as error:
            raise DeviceError(
                f"can't start a process for PortAudio ({error.strerror}); close other programs"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)
        if self._child.is_running:
            _log.warning("%s: its driver hangs; a process remains and can't be killed", self._device)

    def close(self) -> None:
        """Interrupt a waiting call. Safe from any thread, and more than once."""
        self._child.close()

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
        self._child.send(Kind.RECORD, json.dumps(command).encode())
        return DeviceFormat(**json.loads(self._receive(_OPENING_SECONDS, self._no_audio(_OPENING_SECONDS))))

    def blocks(self) -> Iterator[tuple[Stamp, memoryview]]:
        """Yield the recorded blocks: stamp, and frames (float32)."""
        timeout = _OPENING_SECONDS
        while True:
            yield Stamp.unpacked(self._receive(timeout, self._no_audio(timeout)))
            timeout = _STALL_SECONDS

    def play(self, samples: bytes) -> None:
        """Start playing samples (float32, mono, 16 kHz) on the default output."""
        self._child.send(Kind.PLAY, samples)
        self._receive(_OPENING_SECONDS, "can't play audio: the sound system does not answer; restart it")

    def _no_audio(self, seconds: float) -> str:
        return (
            f"{self._device} has delivered no audio for {seconds:.0f} s; check that it is plugged in, and that the "
            "system's privacy settings allow recording"
        )

    def _receive(self, timeout_seconds: float, sentence: str) -> bytes:
        """Return the content of the next message; raise a `DeviceError` with the sentence if none arrives in time."""
        try:
            message = self._child.receive(timeout_seconds)
        except ChildEnded as ended:
            raise DeviceError(
                f"{self._device}: its driver has crashed ({ended}); unplug it and plug it in again, or restart the sound system"
            ) from ended
        if message is None:
            raise DeviceError(sentence)
        if message.kind == Kind.FAILED:
            failure = json.loads(message.content)
            raise DeviceError(
                _MESSAGES[failure["operation"]].format(device=self._device, reason=failure["reason"])
            )
        return message.content

"""Microphones: each is recorded by a PortAudio process of its own, and comes and goes."""

import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import numpy as np

from ..errors import DeviceError
from ..messages import AudioChunk, Samples
from .conversion import Converter
from .devices import InputDevice, choose_device, find_device, identified, list_devices
from .portaudio.process import PortAudioProcess
from .timeline import Assembler, Timeline

__all__ = ["InputDevice", "Microphone", "find_device", "list_devices", "play"]

_MIXED_CHANNELS = 2
_OWN_CHANNELS = 8
"""As many as a sound server hands out as they are; from fewer than the device has it makes a mix."""


class Microphone:
    """A microphone, recorded at its own rate.

    Each reading starts a PortAudio process, which finds the device anew by its name. Time is counted in the device's frames. What
    the driver or the process lost is a jump of the index, and so is the time from a `DeviceError` until `chunks`
    is called again.

    Parameters
    ----------
    name : str
        What people call it.
    device : str, int or None
        What `find_device` finds.
    channel : int or None
        The channel to take, counted from 1; None for the first two, mixed by `Mixer`.
    """

    def __init__(self, name: str, device: str | int | None = None, channel: int | None = None) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 2.0
        self.repaired_samples = 0
        self._wanted = device
        self._channel = channel
        self._closed = threading.Event()
        self._timeline = Timeline()
        self._portaudio = PortAudioProcess()

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Record, and yield what comes, block by block.

        Raises
        ------
        DeviceError
            The device is not there, refuses, or has stopped.
        """
        self._portaudio = portaudio = PortAudioProcess()
        if self._closed.is_set():
            return
        try:
            with portaudio:
                yield from self._recorded_by(portaudio)
        except DeviceError:
            if not self._closed.is_set():
                raise

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._portaudio.close()

    def _recorded_by(self, portaudio: PortAudioProcess) -> Iterator[AudioChunk]:
        device = choose_device(identified(portaudio.devices()), self._wanted, self._channel)
        opened = portaudio.record(
            device.stable_name,
            index=device.index,
            rate_hz=device.rate_hz,
            channels=self._channel_counts(device),
        )
        used = self._channel or min(_MIXED_CHANNELS, opened.channels)
        converter = Converter(opened.rate_hz, used, self._channel)
        assembler = Assembler(converter, opened.rate_hz, opened.latency_seconds, self._timeline)
        repaired_before = self.repaired_samples
        try:
            for stamp, sound in portaudio.blocks():
                if self._closed.is_set():
                    return
                frames = np.frombuffer(sound, np.float32).reshape(-1, opened.channels)
                yield from assembler.accept(frames[:, :used], stamp)
                self.repaired_samples = repaired_before + converter.repaired_samples
        except DeviceError:
            yield from assembler.end()
            raise

    def _channel_counts(self, device: InputDevice) -> list[int]:
        """How many channels to ask for; raw devices may insist on all of theirs."""
        wanted = _MIXED_CHANNELS if self._channel is None else max(_OWN_CHANNELS, self._channel)
        return list(dict.fromkeys((min(wanted, device.channels), device.channels)))


_player = ExitStack()
"""Holds the process that plays."""


def play(samples: Samples) -> None:
    """Play samples (n,) at 16 kHz on the default output, and return at once; what was played before falls silent.

    Raises
    ------
    DeviceError
        Nothing can be played here.
    """
    _player.close()
    portaudio = _player.enter_context(PortAudioProcess())
    portaudio.devices()
    portaudio.play(samples.tobytes())

"""Microphones: each is recorded by its own PortAudio process, and may be unplugged and plugged in again."""

import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import numpy as np

from ..errors import DeviceError
from ..messages import AudioChunk, Samples
from .conversion import Converter
from .devices import InputDevice, choose_device, find_device, identify, list_devices
from .portaudio.process import PortAudioProcess
from .timeline import Assembler, Timeline

__all__ = ["InputDevice", "Microphone", "find_device", "list_devices", "play"]

_MIXED_CHANNELS = 2
_UNMIXED_CHANNELS = 8
"""Number of channels that a sound server passes on unmixed; with fewer than the device has, it mixes them."""


class Microphone:
    """Microphone, recorded at the device's rate.

    Each call of `chunks` starts a PortAudio process and looks for the device by its name. Time is counted in the device's
    frames. The index jumps over audio that the driver or the process lost, and over the time from a `DeviceError` until
    `chunks` is called again.

    Parameters
    ----------
    name : str
        Name for people.
    device : str, int or None
        Device, as for `find_device`.
    channel : int or None
        Channel to use, counted from 1; None for the first two, mixed by `Mixer`.
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
        """Record, and yield the audio block by block.

        Raises
        ------
        DeviceError
            The device is missing, refuses, or has stopped.
        """
        self._portaudio = portaudio = PortAudioProcess()
        if self._closed.is_set():
            return
        try:
            with portaudio:
                yield from self._record(portaudio)
        except DeviceError:
            if not self._closed.is_set():
                raise

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._portaudio.close()

    def _record(self, portaudio: PortAudioProcess) -> Iterator[AudioChunk]:
        device = choose_device(identify(portaudio.devices()), self._wanted, self._channel)
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
        """Return the numbers of channels to try; raw devices may require all of theirs."""
        wanted = _MIXED_CHANNELS if self._channel is None else max(_UNMIXED_CHANNELS, self._channel)
        return list(dict.fromkeys((min(wanted, device.channels), device.channels)))


_player = ExitStack()
"""Owner of the process that plays."""


def stop_playing() -> None:
    """Stop what `play` has started."""
    _player.close()


def play(samples: Samples) -> None:
    """Start playing samples (n,) at 16 kHz on the default output; earlier playback stops.

    Raises
    ------
    DeviceError
        There is no output that works.
    """
    _player.close()
    portaudio = _player.enter_context(PortAudioProcess())
    portaudio.devices()
    portaudio.play(samples.tobytes())

"""Microphones, through PortAudio. The only importer of sounddevice, and not before a device is asked for."""

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

from ..errors import DeviceError
from ..mailbox import Mailbox
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from .conversion import Converter, Frames

_logger = logging.getLogger(__name__)

_LATENCY_SECONDS = 0.1
"""What the driver keeps for us: enough for a callback that waits for the interpreter, little beside a hop."""

_MAILBOX_BLOCKS = 512
"""About 10 s of blocks: PortAudio cuts a latency of 0.1 s into blocks of 10 to 30 ms."""

_SILENT_SECONDS = 5.0
"""A device that delivers no sample for as long has stopped, whatever its driver says."""

_CLOCK_SECONDS = 60.0
"""Over how long the wall clock's time of the stream's beginning is averaged."""

_CLOCK_JUMP_SECONDS = 1.0
"""The wall clock has been set when it disagrees by more."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record.

    Attributes
    ----------
    index : int
        PortAudio's number for it, until something is plugged in or out.
    name, host_api : str
        As PortAudio calls them: "USB Audio: - (hw:1,0)", "ALSA".
    channels : int
        The most it has; virtual devices offer dozens.
    rate_hz : float
        Its default rate.
    is_default : bool
        Whether it is what `mic` means.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate_hz: float
    is_default: bool

    @property
    def short_name(self) -> str:
        """The name without the driver's addresses: "USB Audio" for "USB Audio: - (hw:1,0)"."""
        return self.name.split(":", 1)[0].split(" (", 1)[0].strip() or self.name


def list_devices() -> list[InputDevice]:
    """Return the devices that can record, in PortAudio's order.

    Raises
    ------
    DeviceError
        PortAudio is missing or doesn't work.
    """
    portaudio = _portaudio()
    try:
        with _one_at_a_time:
            return _listed_by(portaudio)
    except portaudio.PortAudioError as error:
        raise DeviceError(
            f"PortAudio can't list the microphones ({error}); restart the sound system"
        ) from error


def _listed_by(portaudio: ModuleType) -> list[InputDevice]:
    default_index = portaudio.default.device[0]
    apis = portaudio.query_hostapis()
    return [
        InputDevice(
            index=found["index"],
            name=found["name"],
            host_api=apis[found["hostapi"]]["name"],
            channels=found["max_input_channels"],
            rate_hz=found["default_samplerate"],
            is_default=found["index"] == default_index,
        )
        for found in portaudio.query_devices()
        if found["max_input_channels"] > 0
    ]


def find_device(wanted: str | int | None) -> InputDevice:
    """Return the device that is meant.

    Parameters
    ----------
    wanted : str, int or None
        An index; a name or a part of it, in any case; or None for the default.

    Raises
    ------
    DeviceError
        None or several match; the sentence lists those there are.
    """
    devices = list_devices()
    if not devices:
        raise DeviceError(
            "there is no microphone on this computer; plug one in, see whether `earshot devices` lists it, or use "
            "`--source demo`, which needs none"
        )
    if wanted is None:
        matches = [device for device in devices if device.is_default] or devices[:1]
    elif isinstance(wanted, int):
        matches = [device for device in devices if device.index == wanted]
    else:
        matches = _matching(wanted, devices)
    if not matches:
        what = f"number {wanted}" if isinstance(wanted, int) else f"called {wanted}"
        raise DeviceError(f"there is no microphone {what}; there are {_listed(devices)}")
    if len(matches) > 1:
        raise DeviceError(
            f"{wanted} may mean {_listed(matches)}; use the number of one, as in mic:{matches[0].index}"
        )
    return matches[0]


def play(samples: Samples) -> None:
    """Play samples (n,) at 16 kHz on the default output, and return at once; what was played before falls silent.

    Raises
    ------
    DeviceError
        Nothing can be played here.
    """
    portaudio = _portaudio()
    try:
        with _one_at_a_time, _quiet():
            portaudio.play(samples, SAMPLE_RATE_HZ)
    except portaudio.PortAudioError as error:
        raise DeviceError(f"nothing can be played ({error}); see whether a loudspeaker is there") from error


def _matching(wanted: str, devices: list[InputDevice]) -> list[InputDevice]:
    """Devices whose name holds the wanted text; only those it is the whole name of, if there are any.

    Windows shows a device once per host API: the API of the default device decides between namesakes.
    """
    text = wanted.casefold()
    matches = [device for device in devices if text in f"{device.name}, {device.host_api}".casefold()]
    exact = [
        device
        for device in matches
        if text
        in {
            device.name.casefold(),
            device.short_name.casefold(),
            f"{device.name}, {device.host_api}".casefold(),
        }
    ]
    matches = exact or matches
    usual_api = next((device.host_api for device in devices if device.is_default), None)
    usual = [device for device in matches if device.host_api == usual_api]
    namesakes = len({device.short_name for device in matches}) == 1
    return usual if namesakes and len(usual) == 1 else matches


def _listed(devices: list[InputDevice]) -> str:
    return ", ".join(f"{device.index} ({device.name}, {device.host_api})" for device in devices)


class Microphone:
    """A microphone, recorded at its own rate.

    PortAudio's thread only copies blocks into a mailbox; all else happens where `chunks` is read. Time is
    counted in the device's frames. What the driver or the mailbox lost is a jump of the index, and so is the
    time from a `DeviceError` until `chunks` is called again.

    Parameters
    ----------
    name : str
        What people call it.
    device : str, int or None
        What `find_device` finds.
    channel : int or None
        The channel to take, counted from 1; None for the average of the first two.
    """

    def __init__(self, name: str, device: str | int | None = None, channel: int | None = None) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 2.0
        self.repaired_samples = 0
        self._wanted = device
        self._channel = channel
        self._closed = threading.Event()
        self._mailbox: Mailbox[_Block] = Mailbox(_MAILBOX_BLOCKS)
        self._timeline = _Timeline()
        self._opened = False

    def check(self) -> None:
        """See whether the device is there and has the channel, without recording.

        Raises
        ------
        DeviceError
            It is not there, or it is not clear which one is meant, or it has too few channels.
        """
        self._find()

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Record, and yield what comes, block by block.

        Raises
        ------
        DeviceError
            The device is not there, refuses, or has stopped.
        """
        if self._closed.is_set():
            return
        if self._opened:
            _rescan()
        self._opened = True
        device = self._find()
        mailbox = self._mailbox = Mailbox(_MAILBOX_BLOCKS)
        with _Recorder(device, self._channel, mailbox) as recorder:
            converter = Converter(device.rate_hz, recorder.channels, self._channel)
            assembler = _Assembler(converter, device.rate_hz, recorder.latency_seconds, self._timeline)
            repaired_before = self.repaired_samples
            while not self._closed.is_set():
                blocks = mailbox.take(_SILENT_SECONDS)
                if not blocks and not mailbox.closed:
                    raise DeviceError(
                        f"{device.name} has delivered no sound for {_SILENT_SECONDS:.0f} s; see whether it is "
                        "plugged in, and whether the system's privacy settings allow it"
                    )
                for block in blocks:
                    yield from assembler.accept(block)
                    self.repaired_samples = repaired_before + converter.repaired_samples

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._mailbox.close()

    def _find(self) -> InputDevice:
        device = find_device(self._wanted)
        if self._channel is not None and not 1 <= self._channel <= device.channels:
            raise DeviceError(
                f"{device.name} has {device.channels} channels, not {self._channel}; count them from 1"
            )
        return device


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """What one callback was given. Times are seconds: two of the driver's clock, and the wall clock's."""

    frames: Frames
    captured: float
    now: float
    wall_now: float
    overflowed: bool
    refused_frames: int


class _Recorder:
    """An open stream from a device into a mailbox, for as long as the `with` block lasts."""

    def __init__(self, device: InputDevice, channel: int | None, mailbox: Mailbox[_Block]) -> None:
        self.channels = min(channel or 2, device.channels)
        self.latency_seconds = 0.0
        self._device = device
        self._mailbox = mailbox
        self._refused_frames = 0
        self._closing = False
        self._stream: Any = None

    def __enter__(self) -> Self:
        portaudio = _portaudio()
        try:
            with _one_at_a_time, _quiet():
                _open_recorders.add(self)
                self._stream = self._opened(portaudio)
                self.latency_seconds = self._stream.latency
                self._stream.start()
        except portaudio.PortAudioError as error:
            self._close()
            raise DeviceError(
                f"{self._device.name} can't be recorded ({error}); see whether another program holds it, or "
                "name another one of those that `devices` lists"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._closing = True
        with _one_at_a_time, _quiet():
            _open_recorders.discard(self)
            if self._stream is not None:
                self._stream.close()

    def _opened(self, portaudio: ModuleType) -> Any:
        """Open with as few channels as are needed; raw devices may insist on all of theirs."""
        parameters = {"device": self._device.index, "samplerate": self._device.rate_hz, "dtype": "float32"}
        try:
            portaudio.check_input_settings(channels=self.channels, **parameters)
        except portaudio.PortAudioError:
            self.channels = self._device.channels
        return portaudio.InputStream(
            **parameters,
            channels=self.channels,
            blocksize=0,
            latency=_LATENCY_SECONDS,
            callback=self._receive,
            finished_callback=self._finished,
        )

    def _receive(self, indata: Frames, frames: int, times: Any, status: Any) -> None:
        """Copy and leave: this is PortAudio's thread. It may have waited, so the time is asked anew."""
        try:
            now, wall_now = self._stream.time, time.time()
            captured = times.inputBufferAdcTime
            block = _Block(
                indata.copy(), captured, now, wall_now, status.input_overflow, self._refused_frames
            )
            self._refused_frames = 0 if self._mailbox.put(block) else self._refused_frames + frames
        except Exception as error:  # noqa: BLE001 - the thread ends here; the reader meets it
            self._mailbox.fail(
                DeviceError(f"{self._device.name} can't be recorded further ({error}); plug it in anew")
            )

    def _finished(self) -> None:
        if not self._closing:
            self._mailbox.fail(
                DeviceError(f"{self._device.name} has stopped recording; see whether it is still plugged in")
            )


class _Timeline:
    """Where a microphone's stream is, across its gaps and its reopenings.

    The wall clock and the device's crystal drift apart by seconds a day, and each block's time is a few
    milliseconds off. The time of index 0 is therefore the average over the last minute, and follows at once
    only where the wall clock has been set.
    """

    def __init__(self) -> None:
        self.started = False
        self.next_sample = 0
        self.zero_at = 0.0
        self.heard_monotonic = 0.0
        self._averaged_seconds = 0.0

    def follow(self, zero_at: float, seconds: float) -> None:
        """Take in what a block of so many seconds says about the time of index 0."""
        difference = zero_at - self.zero_at
        if self.started and abs(difference) > _CLOCK_JUMP_SECONDS:
            _logger.warning(
                "the clock and the microphone disagree by %.1f s: the clock has been set", difference
            )
        if not self.started or abs(difference) > _CLOCK_JUMP_SECONDS:
            self.started = True
            self.zero_at = zero_at
            self._averaged_seconds = seconds
        else:
            self._averaged_seconds = min(self._averaged_seconds + seconds, _CLOCK_SECONDS)
            self.zero_at += difference * seconds / self._averaged_seconds


class _Assembler:
    """Blocks of one opening of the device in, chunks of the stream out; it knows no device and no thread."""

    def __init__(
        self, converter: Converter, rate_hz: float, latency_seconds: float, timeline: _Timeline
    ) -> None:
        self._converter = converter
        self._rate_hz = rate_hz
        self._latency_seconds = latency_seconds
        self._timeline = timeline
        self._first_sample = timeline.next_sample
        self._frames = 0
        self._lost_samples = 0
        self._opened = False

    def accept(self, block: _Block) -> Iterator[AudioChunk]:
        """Convert a block; one that follows a gap is preceded by the rest of what came before the gap."""
        seconds = len(block.frames) / self._rate_hz
        lost_frames = block.refused_frames
        if not self._opened and self._timeline.started:
            lost_frames += self._frames_since(self._timeline.heard_monotonic + seconds)
        self._opened = True
        begins_at = (self._first_sample / SAMPLE_RATE_HZ) + (self._frames + lost_frames) / self._rate_hz
        zero_at = self._captured_at(block) - begins_at
        if block.overflowed and self._timeline.started:
            overflow_frames = max(0, round((zero_at - self._timeline.zero_at) * self._rate_hz))
            lost_frames += overflow_frames
            zero_at -= overflow_frames / self._rate_hz
        if lost_frames:
            yield from self._chunk(self._converter.flush())
            self._skip(lost_frames)
        self._timeline.follow(zero_at, seconds)
        self._timeline.heard_monotonic = time.monotonic()
        self._frames += len(block.frames)
        yield from self._chunk(self._converter.feed(block.frames))

    def _captured_at(self, block: _Block) -> float:
        """Unix time of the block's first frame, from the driver's clock where it has one."""
        seconds = len(block.frames) / self._rate_hz
        age = block.now - block.captured
        if block.captured <= 0 or not 0 <= age < _SILENT_SECONDS:
            return block.wall_now - seconds - self._latency_seconds
        return block.wall_now - max(age, seconds)  # complete blocks are as old as they are long

    def _frames_since(self, monotonic: float) -> int:
        return max(0, round((time.monotonic() - monotonic) * self._rate_hz))

    def _skip(self, frames: int) -> None:
        """Jump over frames that never came. The resampler's rounding may make it a sample more or less."""
        self._frames += frames
        reached = self._first_sample + round(self._frames * SAMPLE_RATE_HZ / self._rate_hz)
        jump = max(0, reached - self._timeline.next_sample)
        self._timeline.next_sample += jump
        self._lost_samples += jump
        _logger.debug("%d samples lost", jump)

    def _chunk(self, samples: Samples) -> Iterator[AudioChunk]:
        if not len(samples):
            return
        start_sample = self._timeline.next_sample
        captured_at = self._timeline.zero_at + start_sample / SAMPLE_RATE_HZ
        yield AudioChunk(samples, start_sample, captured_at, self._lost_samples)
        self._timeline.next_sample += len(samples)
        self._lost_samples = 0


_open_recorders: set[_Recorder] = set()
_one_at_a_time = threading.Lock()
"""PortAudio's functions must not be called by two threads at once."""


def _portaudio() -> ModuleType:
    """Import sounddevice, which loads and starts PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            "PortAudio is missing: install it with `sudo apt-get install libportaudio2`, or use "
            "`--source demo`, which works without"
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # its class is in the module that could not be imported
            raise
        raise DeviceError(
            f"PortAudio can't start ({error}); restart the sound system, or use `--source demo`"
        ) from error
    module: ModuleType = sounddevice
    return module


def _rescan() -> None:
    """Have PortAudio look for devices again, which it does only when it starts, unless a stream is open."""
    portaudio = _portaudio()
    try:
        with _one_at_a_time, _quiet():
            if not _open_recorders:
                portaudio.stop()
                portaudio._terminate()  # noqa: SLF001 - documented for this very purpose
                portaudio._initialize()  # noqa: SLF001
    except portaudio.PortAudioError as error:
        raise DeviceError(f"PortAudio can't be restarted ({error}); start the program again") from error


_NOISE = (b"ALSA lib ", b"Expression ", b"PaAlsa", b"Cannot connect to server", b"jack server", b"JackShm")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the terminal what ALSA and PortAudio write to it from C while they open a device.

    Their lines go to the debug log; what others have written meanwhile is written afterwards.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile(buffering=0) as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            written.seek(0)
            for line in written.readlines():
                if line.startswith(_NOISE):
                    _logger.debug("%s", line.decode(errors="replace").strip())
                else:
                    os.write(2, line)

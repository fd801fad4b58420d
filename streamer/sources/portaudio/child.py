"""Process that runs PortAudio: ``python -m streamer.sources.portaudio.child``. The only importer of sounddevice.

It lists the devices on standard output, reads commands from standard input, and runs until standard input ends, which happens also when
the main program crashes. It ignores signals, which the main program handles.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import IO, Any, Self

from ...runtime.queues import BoundedQueue
from ...runtime.timing import elapsed_seconds
from ...runtime.wire import Message, begin_child
from .wire import Kind, Stamp

_LATENCY_SECONDS = 0.1
"""Buffer of the driver: enough for a callback that waits for the interpreter, short against a hop."""

_WAITING_BLOCKS = 512
"""About 10 s of blocks: PortAudio cuts a latency of 0.1 s into blocks of 10 to 30 ms."""

_SHUTDOWN_SECONDS = 1.0
"""Time limit for closing the device after the main program has gone."""

_OTHER_RATES_HZ = (48_000.0, 44_100.0, 16_000.0, 32_000.0, 96_000.0)
"""Sample rates to try if a device refuses its default."""

_PLAYED_RATE_HZ = 16_000


class _Failure(Exception):  # noqa: N818 - a message to the main program
    """Failed operation and its reason."""

    def __init__(self, operation: str, reason: object = "") -> None:
        super().__init__(operation, str(reason))


def main() -> None:
    """Serve the main program until standard input ends."""
    output = begin_child()
    commands: BoundedQueue[Message] = BoundedQueue(1)
    blocks: BoundedQueue[Message] = BoundedQueue(_WAITING_BLOCKS)
    threading.Thread(target=_read_commands, args=(sys.stdin.buffer, commands, blocks), daemon=True).start()
    try:
        _serve(output, commands, blocks)
    except _Failure as failure:
        operation, reason = failure.args
        _send(output, Kind.FAILED, {"operation": operation, "reason": reason})
    except BrokenPipeError:  # the main program has gone
        pass
    os._exit(0)  # PortAudio may hang when it terminates


def _read_commands(stdin: IO[bytes], commands: BoundedQueue[Message], blocks: BoundedQueue[Message]) -> None:
    """Queue the commands from standard input; at its end, make the process end."""
    while command := Message.receive(stdin):
        commands.put(command)
    commands.close()
    blocks.close()
    time.sleep(_SHUTDOWN_SECONDS)
    os._exit(1)


def _serve(output: IO[bytes], commands: BoundedQueue[Message], blocks: BoundedQueue[Message]) -> None:
    portaudio = _load()
    try:
        _send(output, Kind.DEVICES, list(_devices(portaudio)))
    except portaudio.PortAudioError as error:
        raise _Failure("list", error) from error
    for command in commands.take():
        if command.kind == Kind.RECORD:
            _record(portaudio, output, blocks, **json.loads(command.content))
        else:
            _play(portaudio, output, command.content)


def _send(output: IO[bytes], kind: Kind, content: Any) -> None:
    Message(kind, json.dumps(content).encode()).send(output)


def _load() -> Any:
    """Import sounddevice, which loads and starts PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise _Failure("load", error) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # its class is in the module that failed to import
            raise
        raise _Failure("start", error) from error
    return sounddevice


def _devices(portaudio: Any) -> Iterator[dict[str, Any]]:
    """Yield the recording devices, in PortAudio's order."""
    default_index = portaudio.default.device[0]
    apis = portaudio.query_hostapis()
    for found in portaudio.query_devices():
        if found["max_input_channels"] > 0:
            yield {
                "index": found["index"],
                "name": found["name"],
                "host_api": apis[found["hostapi"]]["name"],
                "channels": found["max_input_channels"],
                "rate_hz": found["default_samplerate"],
                "is_default": found["index"] == default_index,
            }


def _record(
    portaudio: Any,
    output: IO[bytes],
    blocks: BoundedQueue[Message],
    *,
    index: int,
    rate_hz: float,
    channels: Sequence[int],
) -> None:
    """Record a device, at its default rate and with the first number of channels if it accepts them."""
    rates_hz = dict.fromkeys((rate_hz, *_OTHER_RATES_HZ))
    with _Recorder(portaudio, blocks) as recorder:
        stream = recorder.open(index, [(rate, count) for rate in rates_hz for count in channels])
        _send(
            output,
            Kind.OPENED,
            {"rate_hz": stream.samplerate, "channels": stream.channels, "latency_seconds": stream.latency},
        )
        while messages := blocks.take():
            for message in messages:
                message.send(output)


class _Recorder:
    """Stream from a device into a queue, open until the end of the ``with`` block."""

    def __init__(self, portaudio: Any, blocks: BoundedQueue[Message]) -> None:
        self._portaudio = portaudio
        self._blocks = blocks
        self._refused_frames = 0
        self._recording = False
        self._stream: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def open(self, index: int, attempts: Iterable[tuple[float, int]]) -> Any:
        """Start with the first rate and number of channels that the device accepts; if none, the first error counts."""
        first_error = None
        for rate_hz, channels in attempts:
            try:
                self._start(device=index, samplerate=rate_hz, channels=channels)
            except self._portaudio.PortAudioError as error:
                first_error = first_error or error
                self._close()
            else:
                return self._stream
        raise _Failure("record", first_error)

    def _start(self, **parameters: Any) -> None:
        self._stream = self._portaudio.RawInputStream(
            **parameters,
            dtype="float32",
            blocksize=0,
            latency=_LATENCY_SECONDS,
            callback=self._receive,
            finished_callback=self._finished,
        )
        self._recording = True
        self._stream.start()

    def _close(self) -> None:
        self._recording = False
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _receive(self, indata: bytes, frames: int, times: Any, status: Any) -> None:
        """Copy a block into the queue, on PortAudio's thread. The callback may be late, so the time is read here."""
        try:
            stamp = Stamp(
                captured=times.inputBufferAdcTime,
                now=self._stream.time,
                elapsed=elapsed_seconds(),
                wall=time.time(),
                overflowed=status.input_overflow,
                refused_frames=self._refused_frames,
            )
            accepted = self._blocks.put(stamp.packed(bytes(indata)))
            self._refused_frames = 0 if accepted else self._refused_frames + frames
        except Exception as error:  # noqa: BLE001 - the thread ends here; the main thread raises it
            self._blocks.fail(_Failure("go on", error))

    def _finished(self) -> None:
        if self._recording:
            self._blocks.fail(_Failure("stop"))


def _play(portaudio: Any, output: IO[bytes], samples: bytes) -> None:
    """Play on the default output, until the end of the samples or of the main program."""
    try:
        with portaudio.RawOutputStream(samplerate=_PLAYED_RATE_HZ, channels=1, dtype="float32") as stream:
            _send(output, Kind.OPENED, {})
            stream.write(samples)
    except portaudio.PortAudioError as error:
        raise _Failure("play", error) from error


if __name__ == "__main__":
    main()

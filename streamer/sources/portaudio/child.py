"""The process that PortAudio lives in: ``python -m streamer.sources.portaudio.child``. The only importer of sounddevice.

It says on standard output which devices there are, is told on standard input what to do with one of them, and does so until standard
input ends: when the program wishes it, or is no more. It is deaf to the terminal's and the system's signals: those are the program's.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import IO, Any, Self

from ...runtime.queues import BoundedQueue
from ...runtime.timing import elapsed_seconds
from .wire import Kind, Message, Stamp

_LATENCY_SECONDS = 0.1
"""What the driver keeps for us: enough for a callback that waits for the interpreter, little beside a hop."""

_WAITING_BLOCKS = 512
"""About 10 s of blocks: PortAudio cuts a latency of 0.1 s into blocks of 10 to 30 ms."""

_PARTING_SECONDS = 1.0
"""How long closing the device may take when the program has gone."""

_OTHER_RATES_HZ = (48_000.0, 44_100.0, 16_000.0, 32_000.0, 96_000.0)
"""What a device may take that refuses its own default."""

_PLAYED_RATE_HZ = 16_000


class _Failure(Exception):  # noqa: N818 - what the program is told, in its words
    """Work that can't be done, and why."""

    def __init__(self, work: str, reason: object = "") -> None:
        super().__init__(work, str(reason))


def main() -> None:
    """Serve the program until it has had enough."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no part of the conversation
    orders: BoundedQueue[Message] = BoundedQueue(1)
    blocks: BoundedQueue[Message] = BoundedQueue(_WAITING_BLOCKS)
    threading.Thread(target=_obey, args=(sys.stdin.buffer, orders, blocks), daemon=True).start()
    try:
        _serve(output, orders, blocks)
    except _Failure as failure:
        work, reason = failure.args
        _say(output, Kind.FAILED, {"work": work, "reason": reason})
    except BrokenPipeError:  # the program has gone
        pass
    os._exit(0)  # PortAudio's own end may hang


def _obey(stdin: IO[bytes], orders: BoundedQueue[Message], blocks: BoundedQueue[Message]) -> None:
    """Take orders until there are no more, then see that the process ends."""
    while order := Message.receive(stdin):
        orders.put(order)
    orders.close()
    blocks.close()
    time.sleep(_PARTING_SECONDS)
    os._exit(1)


def _serve(output: IO[bytes], orders: BoundedQueue[Message], blocks: BoundedQueue[Message]) -> None:
    portaudio = _loaded()
    try:
        _say(output, Kind.DEVICES, list(_devices(portaudio)))
    except portaudio.PortAudioError as error:
        raise _Failure("list", error) from error
    for order in orders.take():
        if order.kind is Kind.RECORD:
            _record(portaudio, output, blocks, **json.loads(order.content))
        else:
            _play(portaudio, output, order.content)


def _say(output: IO[bytes], kind: Kind, content: Any) -> None:
    Message(kind, json.dumps(content).encode()).send(output)


def _loaded() -> Any:
    """Import sounddevice, which loads and starts PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise _Failure("load", error) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # its class is in the module that could not be imported
            raise
        raise _Failure("start", error) from error
    return sounddevice


def _devices(portaudio: Any) -> Iterator[dict[str, Any]]:
    """Name the devices that can record, in PortAudio's order."""
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
    """Record a device, at its default rate and with the first number of channels if it takes them."""
    rates_hz = dict.fromkeys((rate_hz, *_OTHER_RATES_HZ))
    with _Recorder(portaudio, blocks) as recorder:
        stream = recorder.open(index, [(rate, count) for rate in rates_hz for count in channels])
        _say(
            output,
            Kind.OPENED,
            {"rate_hz": stream.samplerate, "channels": stream.channels, "latency_seconds": stream.latency},
        )
        while messages := blocks.take():
            for message in messages:
                message.send(output)


class _Recorder:
    """A stream from a device into a mailbox, for as long as the ``with`` block lasts."""

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
        """Start with the first rate and number of channels that the device takes; the first refusal counts."""
        refusal = None
        for rate_hz, channels in attempts:
            try:
                self._start(device=index, samplerate=rate_hz, channels=channels)
            except self._portaudio.PortAudioError as error:
                refusal = refusal or error
                self._close()
            else:
                return self._stream
        raise _Failure("record", refusal)

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
        """Copy and leave: this is PortAudio's thread. It may have waited, so the time is asked anew."""
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
        except Exception as error:  # noqa: BLE001 - the thread ends here; the main one meets it
            self._blocks.fail(_Failure("go on", error))

    def _finished(self) -> None:
        if self._recording:
            self._blocks.fail(_Failure("stop"))


def _play(portaudio: Any, output: IO[bytes], samples: bytes) -> None:
    """Play on the default output until the end, or the program's."""
    try:
        with portaudio.RawOutputStream(samplerate=_PLAYED_RATE_HZ, channels=1, dtype="float32") as stream:
            _say(output, Kind.OPENED, {})
            stream.write(samples)
    except portaudio.PortAudioError as error:
        raise _Failure("play", error) from error


if __name__ == "__main__":
    main()

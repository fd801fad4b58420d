"""Checks of the sources: they open, and deliver usable audio."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict

from ..errors import SourceError
from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..settings.sources import SourceSettings
from ..sources import Source, is_socket_source, is_standard_input, open_source, without_secrets
from ..sources.network import NetworkStream
from ..sources.recording import Recording
from .result import CheckResult
from .sound_quality import Kind, Problem, SoundMeter, problems

_MIN_SPEED = 0.9


def check_sources(
    sources: Iterable[SourceSettings], *, seconds: float, switched_off: Collection[str] = ()
) -> Iterator[CheckResult]:
    """Check the sources, one after the other.

    Parameters
    ----------
    sources : iterable of SourceSettings
        Sources, with the addresses for `open_source`.
    seconds : float
        Time to listen to a live source; recordings are read to their end.
    switched_off : collection of str
        Names of sources that are switched off, and are not opened.
    """
    names: list[str] = []
    for entry in sources:
        try:
            if is_standard_input(entry.address):
                yield _standard_input(again="-" in names)
                names.append("-")
                continue
            source = open_source(entry.address, name=entry.name, fast=True)
        except SourceError as error:
            name = entry.name or without_secrets(entry.address)
            yield CheckResult(f"source {name}", "failed", "can't be opened", str(error))
            continue
        if source.name in switched_off:
            result = _switched_off(source.name)
        elif is_socket_source(entry.address):
            result = _waiting_socket(source.name)
        else:
            result = check_source(source, seconds=seconds)
        if source.name in names:
            result = CheckResult(
                result.check,
                "failed",
                f"another source has the name '{source.name}' too",
                "give each source its own name, as NAME=SOURCE",
            )
        names.append(source.name)
        yield result


def check_source(
    source: Source, *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> CheckResult:
    """Check a source.

    Parameters
    ----------
    source : Source
        Source from `open_source`.
    seconds : float
        Time to listen, if the source is live.
    clock : callable
        Clock in seconds.
    """
    check = f"source {source.name}"
    meter, speed = SoundMeter(), _Speed(clock)
    try:
        with closing(source.chunks()) as chunks:
            for chunk in _limited(chunks, seconds, speed) if source.live else chunks:
                meter.add(chunk)
    except SourceError as error:
        found = (
            f"breaks off after {meter.samples / SAMPLE_RATE_HZ:.1f} s" if meter.samples else "can't be read"
        )
        return CheckResult(check, "failed", found, str(error))
    quality = meter.result(repaired_samples=source.repaired_samples)
    kind = _kind_of(source)
    faults = list(problems(quality, kind))
    if speed.value is not None and speed.value < _MIN_SPEED:
        faults.append(
            Problem(
                "warning",
                f"only {speed.value:.2f} s of audio a second",
                "check its network and its sender"
                if kind == "stream"
                else "plug it in elsewhere, or choose another microphone from `earshot devices`",
            )
        )
    if isinstance(source, Recording) and source.faults:
        faults.append(Problem("warning", "; ".join(source.faults), "get an intact copy"))
    found = f"{quality.seconds:.1f} s at {quality.level_dbfs:.0f} dBFS, peak {quality.peak_dbfs:.0f} dBFS"
    return CheckResult(
        check,
        faults[0].state if faults else "ok",
        "; ".join((found, *(fault.found for fault in faults))),
        "; ".join(fault.advice for fault in faults),
        {
            "source": source.name,
            **{name: round(value, 4) for name, value in asdict(quality).items()},
            "pace": speed.value,
        },
    )


def _switched_off(name: str) -> CheckResult:
    return CheckResult(
        f"source {name}",
        "skipped",
        "it is switched off, and was not opened",
        "press P in the window, or send ON to …/listen/set over MQTT, to switch it on",
    )


def _waiting_socket(name: str) -> CheckResult:
    return CheckResult(f"source {name}", "skipped", "ready; it has no audio before a program connects")


def _standard_input(*, again: bool) -> CheckResult:
    if again:
        return CheckResult("source -", "failed", "standard input can be one source only", "give - only once")
    return CheckResult("source -", "skipped", "standard input was not read: it can be read only once")


class _Speed:
    """Seconds of audio a second, measured after the first block, which may have waited in a buffer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: float | None = None
        self._samples = 0
        self.elapsed = 0.0

    def add(self, chunk: AudioChunk) -> None:
        if self._began is None:
            self._began = self._clock()
            return
        self._samples += len(chunk.samples)
        self.elapsed = self._clock() - self._began

    @property
    def value(self) -> float | None:
        return round(self._samples / SAMPLE_RATE_HZ / self.elapsed, 3) if self.elapsed else None


def _limited(chunks: Iterable[AudioChunk], seconds: float, speed: _Speed) -> Iterator[AudioChunk]:
    """Yield chunks for some seconds of audio, or for twice this time if audio arrives more slowly."""
    samples = 0
    for chunk in chunks:
        speed.add(chunk)
        samples += len(chunk.samples)
        yield chunk
        if samples >= seconds * SAMPLE_RATE_HZ or speed.elapsed >= 2 * seconds:
            return


def _kind_of(source: Source) -> Kind:
    if not source.live:
        return "recording"
    return "stream" if isinstance(source, NetworkStream) else "microphone"

"""Whether sources deliver sound, and sound that can be used."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict

from ..errors import SourceError
from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..settings.sources import SourceSettings
from ..sources import Source, is_socket_source, is_standard_input, open_source, without_secrets
from .result import CheckResult
from .sound import Complaint, SoundMeter, complaints

_LEAST_PACE = 0.9


def check_sources(
    sources: Iterable[SourceSettings], *, seconds: float, switched_off: Collection[str] = ()
) -> Iterator[CheckResult]:
    """Listen to one source after the other.

    Parameters
    ----------
    sources : iterable of SourceSettings
        With what `open_source` takes.
    seconds : float
        How long to listen to what is live; recordings are read to their end.
    switched_off : collection of str
        Names of those that are not to be listened to.
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
            called = entry.name or without_secrets(entry.address)
            yield CheckResult(f"source {called}", "failed", "can't be opened", str(error))
            continue
        if source.name in switched_off:
            finding = _switched_off(source.name)
        elif is_socket_source(entry.address):
            finding = _sent_to(source.name)
        else:
            finding = check_source(source, seconds=seconds)
        if source.name in names:
            finding = CheckResult(
                finding.check,
                "failed",
                f"another source is called '{source.name}' too",
                "name them apart with NAME=SPEC",
            )
        names.append(source.name)
        yield finding


def check_source(
    source: Source, *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> CheckResult:
    """Listen to a source.

    Parameters
    ----------
    source : Source
        As `open_source` makes it.
    seconds : float
        How long to listen, if it is live.
    clock : callable
        Seconds, with which the pace is measured.
    """
    check = f"source {source.name}"
    meter, pace = SoundMeter(), _Pace(clock)
    try:
        with closing(source.chunks()) as chunks:
            for chunk in _some(chunks, seconds, pace) if source.live else chunks:
                meter.hear(chunk)
    except SourceError as error:
        found = (
            f"breaks off after {meter.samples / SAMPLE_RATE_HZ:.1f} s" if meter.samples else "can't be heard"
        )
        return CheckResult(check, "failed", found, str(error))
    sound = meter.sum_up(repaired_samples=source.repaired_samples)
    wrong = list(complaints(sound, live=source.live))
    if pace.value is not None and pace.value < _LEAST_PACE:
        wrong.append(
            Complaint(
                "warning",
                f"only {pace.value:.2f} s of sound a second",
                "plug it in elsewhere, or name another one of those that `earshot devices` lists",
            )
        )
    heard = f"{sound.seconds:.1f} s at {sound.level_dbfs:.0f} dBFS, peak {sound.peak_dbfs:.0f} dBFS"
    return CheckResult(
        check,
        wrong[0].state if wrong else "ok",
        "; ".join((heard, *(complaint.found for complaint in wrong))),
        "; ".join(complaint.advice for complaint in wrong),
        {
            "source": source.name,
            **{name: round(value, 4) for name, value in asdict(sound).items()},
            "pace": pace.value,
        },
    )


def _switched_off(name: str) -> CheckResult:
    return CheckResult(
        f"source {name}",
        "skipped",
        "it is switched off, and not listened to",
        "press P in the window, or send ON to …/listen/set over MQTT, to have it heard again",
    )


def _sent_to(name: str) -> CheckResult:
    return CheckResult(
        f"source {name}", "skipped", "can be listened on: it has sound once something connects"
    )


def _standard_input(*, again: bool) -> CheckResult:
    if again:
        return CheckResult("source -", "failed", "standard input can be one source only", "give - once")
    return CheckResult("source -", "skipped", "standard input is not listened to: it can be read only once")


class _Pace:
    """How many seconds of sound come in a second, after the first block, which may have waited for long."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: float | None = None
        self._samples = 0
        self.elapsed = 0.0

    def take(self, chunk: AudioChunk) -> None:
        if self._began is None:
            self._began = self._clock()
            return
        self._samples += len(chunk.samples)
        self.elapsed = self._clock() - self._began

    @property
    def value(self) -> float | None:
        return round(self._samples / SAMPLE_RATE_HZ / self.elapsed, 3) if self.elapsed else None


def _some(chunks: Iterable[AudioChunk], seconds: float, pace: _Pace) -> Iterator[AudioChunk]:
    """Pass chunks on for some seconds of sound, or for twice as long where it comes more slowly."""
    samples = 0
    for chunk in chunks:
        pace.take(chunk)
        samples += len(chunk.samples)
        yield chunk
        if samples >= seconds * SAMPLE_RATE_HZ or pace.elapsed >= 2 * seconds:
            return

"""Condition of the program: one word for the health light, its reasons, and the figures behind it. No Qt here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from streamer.messages import Health, NoiseLevels, SourceHealth, SourceStatus, Tagging

_MAX_DROPPED_SHARE = 0.01
_MAX_LOST_SHARE = 0.001
"""Shares of dropped windows and of lost sound above which the light changes."""


class Light(Enum):
    """Condition, with the word for it."""

    OK = "All well"
    DEGRADED = "Degraded"
    TROUBLE = "Trouble"


@dataclass(frozen=True, slots=True)
class Figure:
    """Caption with a value.

    Attributes
    ----------
    caption : str
        Caption before the value.
    value : str
        Value as a text.
    problem : str
        Sentence about the problem that the value shows; empty for none.
    light : Light
        Condition that follows.
    """

    caption: str
    value: str
    problem: str = ""
    light: Light = Light.OK

    def __str__(self) -> str:
        return f"{self.caption} {self.value}".strip()


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition of a source and the program.

    Attributes
    ----------
    figures : tuple of Figure
        Figures, the most important first.
    """

    figures: tuple[Figure, ...] = ()

    @property
    def light(self) -> Light:
        """Worst condition of all figures."""
        lights = {figure.light for figure in self.figures}
        return next((light for light in (Light.TROUBLE, Light.DEGRADED) if light in lights), Light.OK)

    @property
    def problems(self) -> str:
        """Problems, the worst first."""
        found = [figure for figure in self.figures if figure.problem]
        found.sort(key=lambda figure: figure.light is not Light.TROUBLE)
        return "; ".join(figure.problem for figure in found)

    def __str__(self) -> str:
        return "  ".join(map(str, self.figures))


def condition_of(
    source: str,
    status: SourceStatus | None,
    health: Health | None,
    tagging: Tagging | None,
    *,
    paused: bool = False,
    notice: str = "",
) -> Condition:
    """Return the condition of a source and the program.

    Parameters
    ----------
    source : str
        Name of the source on screen.
    status : SourceStatus or None
        Its newest status.
    health : Health or None
        Newest health of the program.
    tagging : Tagging or None
        Newest tagging of the source.
    paused : bool
        True if the source is switched off.
    notice : str
        Problem that lasts as long as the program; empty for none.
    """
    if paused:
        figures = [
            Figure(source, "is switched off", f"{source} is switched off; P starts again", Light.DEGRADED)
        ]
    elif status is not None and not status.online:
        reason = status.reason or "is offline"
        figures = [Figure(source, reason, f"{source}: {reason}", Light.TROUBLE)]
    else:
        figures = [Figure("source", source)]
    figures += _source_problems(source, health)
    figures += [_figure("history", "none", notice)] if notice else []
    if health is not None:
        figures += [Figure("model", health.model), Figure("device", health.device)] if health.model else []
        figures += [Figure("loading", health.loading)] if health.loading else []
    latency = tagging.latency_seconds if tagging is not None else None
    if latency is None and health is not None:
        latency = health.latency_p50_seconds
    if latency is not None:
        figures.append(Figure("latency", duration(latency)))
    if health is not None:
        figures += _program_figures(health)
    return Condition(tuple(figures))


def _source_problems(source: str, health: Health | None) -> Iterator[Figure]:
    """Yield the problems with the sound of a source, then those of the other sources."""
    bad = [entry for entry in health.sources if entry.state != "ok"] if health is not None else []
    for entry in sorted(bad, key=lambda entry: entry.source != source):
        caption = "sound" if entry.source == source else entry.source
        yield Figure(caption, entry.state, f"{entry.source}: {entry.state}", Light.DEGRADED)


def _program_figures(health: Health) -> Iterator[Figure]:
    """Yield load, drops, lost sound, lost events and broker."""
    if health.real_time_factor is not None:
        load = health.real_time_factor
        yield _figure("load", f"{load:.0%}", "the model is too slow for this machine" if load > 1 else "")
    dropped, all_windows = health.dropped_windows, health.windows + health.dropped_windows
    yield _figure(
        "drops",
        f"{dropped}",
        f"{dropped} windows dropped" if dropped > _MAX_DROPPED_SHARE * all_windows else "",
    )
    audio_seconds = health.uptime_seconds * max(1, len(health.sources))
    lost = duration(health.overrun_seconds)  # an outage of a source is no fault of this machine
    yield _figure(
        "lost",
        lost,
        f"{lost} of audio lost" if health.overrun_seconds > _MAX_LOST_SHARE * audio_seconds else "",
    )
    losses = health.losses
    for count, fate in (
        (losses.undelivered_events + losses.lost_events, "lost"),
        (losses.unsaved_events, "not stored yet"),
    ):
        if count:
            yield _figure("events", f"{count} {fate}", f"{count} starts and ends of events {fate}")
    well = health.broker in {"connected", "none"}
    yield _figure("broker", health.broker, "" if well else f"MQTT broker: {health.broker}")


def _figure(caption: str, value: str, problem: str) -> Figure:
    return Figure(caption, value, problem, Light.DEGRADED if problem else Light.OK)


def details_of(source: str, health: Health | None) -> tuple[Figure, ...]:
    """Return more figures about a source and the program."""
    if health is None:
        return ()
    figures = [figure for entry in health.sources if entry.source == source for figure in _of_source(entry)]
    percentiles = (health.latency_p50_seconds, health.latency_p95_seconds, health.latency_p99_seconds)
    known = [duration(seconds) for seconds in percentiles if seconds is not None]
    if known:
        figures.append(Figure("latency p50, p95, p99", ", ".join(known)))
    figures.append(Figure("windows", f"{health.windows} tagged, {health.dropped_windows} dropped"))
    if health.resident_bytes is not None:
        figures.append(Figure("memory", f"{health.resident_bytes / 1e6:.0f} MB"))
    return tuple(figures)


def _of_source(health: SourceHealth) -> Iterator[Figure]:
    yield Figure("sound", f"{health.state}, {health.clipped_share:.2%} of the last minute clipped")
    if health.floor_dbfs is not None:
        yield Figure("noise floor", f"{health.floor_dbfs:.0f} dBFS")
    if health.noise is not None:
        yield Figure("noise", _noise(health.noise))
    yield Figure(
        "lost",
        f"{duration(health.lost_seconds)} in {health.gaps} gaps, {duration(health.overrun_seconds)} of it in overruns ({health.overruns})",
    )
    if health.drift_ppm is not None:
        yield Figure("clock", f"{health.drift_ppm:+.0f} ppm")


def duration(seconds: float) -> str:
    """Return a duration as a text."""
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.1f} s"


def _noise(levels: NoiseLevels) -> str:
    """Return the noise of the last minute in a line."""
    figures = (
        ("Leq", levels.leq_db),
        ("Lmax", levels.lmax_db),
        ("L10", levels.l10_db),
        ("L90", levels.l90_db),
    )
    named = [f"{name} {level:.1f}" for name, level in figures if level is not None]
    return f"{', '.join(named)} {levels.unit} in the last minute"

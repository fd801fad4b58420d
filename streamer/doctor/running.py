"""Checks of a program that listens, from its own figures: no device is opened twice."""

from collections.abc import Iterator, Sequence

from ..messages import Health, SourceHealth
from ..runtime.timing import format_duration
from ..settings.loading import Place
from ..settings.schema import Settings
from .disk import check_folder
from .reach import audience, check_notifications
from .result import CheckResult, State
from .settings import check_settings

_TOO_SLOW = 1.0
_SLOW = 0.8
_LATE_SECONDS = 10.0
"""Time without audio after which a source counts as broken."""
_STATES: dict[str, tuple[State, str, str]] = {
    "ok": ("ok", "good sound", ""),
    "silent": (
        "failed",
        "nothing but zeros",
        "unmute it in the system's sound settings, at its switch or at the camera, or choose another microphone from `earshot devices`",
    ),
    "faint": (
        "warning",
        "fainter than the noise of any room",
        "raise its volume in the system's sound settings or in those of the camera, and check that it is not muted",
    ),
    "clipping": (
        "warning",
        "clipped at full scale",
        "lower its volume in the system's sound settings or in those of the camera",
    ),
}


def check_running(settings: Settings, places: Sequence[Place], health: Health) -> Iterator[CheckResult]:
    """Check everything that the settings name, while the program listens.

    Parameters
    ----------
    settings : Settings
        Settings in force.
    places : sequence of Place
        Places where they are set.
    health : Health
        Newest figures.
    """
    yield check_settings(places, settings.secret_files)
    for source in health.sources:
        yield _check_source(source)
    yield _check_model(health)
    yield _check_speed(health)
    yield _check_history(settings, health)
    if any(source.clips for source in settings.sources):
        yield check_folder("clips", settings.clips_path)
    yield _check_broker(health)
    if settings.web_address is not None:
        yield CheckResult("page", "ok", audience(settings, settings.web_address[0]))
    if settings.notifies:
        yield check_notifications(settings)


def _check_source(source: SourceHealth) -> CheckResult:
    name = f"source {source.source}"
    since = source.seconds_since_sound
    if source.activity == "paused":
        return CheckResult(name, "skipped", "it is paused")
    if source.activity == "ended":
        found = "it has ended" + ("" if since is None else f"; no audio for {format_duration(since)}")
        return CheckResult(
            name, "warning", found, "choose its input again in the window, or restart Earshot, to go on"
        )
    if not source.samples or since is None:
        return CheckResult(
            name, "warning", "no audio yet", "check that it is plugged in; Earshot keeps trying to open it"
        )
    if since > _LATE_SECONDS:
        found = f"no audio for {format_duration(since)}"
        return CheckResult(
            name,
            "failed",
            found,
            "check that it is plugged in and can be reached; the log says why, and Earshot keeps trying",
        )
    state, found, advice = _STATES[source.state]
    if source.overruns:
        state = "warning" if state == "ok" else state
        found += f"; {source.overrun_seconds:.1f} s lost in {source.overruns} {'gap' if source.overruns == 1 else 'gaps'}"
        advice = advice or "check its cable or network, and which programs keep this machine busy"
    return CheckResult(name, state, found, advice)


def _check_model(health: Health) -> CheckResult:
    if not health.model:
        return CheckResult(
            "model", "warning", f"{health.loading or 'the model'} is being loaded", "wait a moment"
        )
    found = f"{health.model} on {health.device}"
    if health.workers is not None and health.workers.problem:
        advice = "check the workers at their address, or start some"
        return CheckResult("model", "failed", f"{found}: {health.workers.problem}", advice)
    return CheckResult(
        "model", "ok", found + (f"; {health.loading} is being loaded" if health.loading else "")
    )


def _check_speed(health: Health) -> CheckResult:
    factor = health.real_time_factor
    if factor is None:
        return CheckResult("speed", "skipped", "nothing has been tagged yet")
    found = f"inference takes {factor:.0%} of the time"
    if health.latency_p95_seconds is not None:
        found += f"; 95 % of the tags come within {health.latency_p95_seconds:.1f} s"
    if factor > _SLOW or health.dropped_windows:
        state: State = "failed" if factor > _TOO_SLOW else "warning"
        found += f"; {health.dropped_windows} windows were dropped"
        return CheckResult("speed", state, found, "use a smaller model, a longer hop or fewer sources")
    return CheckResult("speed", "ok", found)


def _check_history(settings: Settings, health: Health) -> CheckResult:
    file, losses = settings.history_file, health.losses
    if file is None:
        return CheckResult("history", "skipped", "the history is off")
    folder = check_folder("history", file.parent)
    if losses.unsaved_events or losses.lost_events:
        found = f"{file} can't be written: {losses.unsaved_events} events wait in memory, {losses.lost_events} are lost"
        return CheckResult("history", "failed", found, folder.advice or "the log says why; make room there")
    return CheckResult("history", folder.state, f"{file}; {folder.found}", folder.advice)


def _check_broker(health: Health) -> CheckResult:
    broker, undelivered = health.broker, health.losses.undelivered_events
    if broker == "none":
        return CheckResult("broker", "skipped", "no broker is set")
    if broker != "connected":
        advice = "check that it runs, its address, and the password; Earshot keeps trying"
        return CheckResult("broker", "warning" if broker == "connecting" else "failed", broker, advice)
    if undelivered:
        found = f"connected; {undelivered} events were never delivered"
        return CheckResult("broker", "warning", found, "the log says why")
    return CheckResult("broker", "ok", "connected")

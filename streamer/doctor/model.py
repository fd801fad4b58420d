"""Checks of the model: loading, speed, watched sounds, and the best model for this machine."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..live.assembly import Tagger
from ..messages import SAMPLE_RATE_HZ
from ..settings.schema import Settings
from .result import CheckResult
from .speed import check_speed
from .watched_sounds import check_notified_sounds, check_sounds

FASTEST = "ced-tiny"
"""Model that takes less time than any other."""


@dataclass(frozen=True, slots=True)
class BestModel:
    """Best model that keeps up on this machine.

    Attributes
    ----------
    name : str or None
        Name; None if no model keeps up.
    seconds : float
        Estimated time for a window of each source.
    """

    name: str | None
    seconds: float = 0.0


def check_model(
    settings: Settings, tagger: Tagger, *, reason: str, engine: str, best: BestModel | None = None
) -> Iterator[CheckResult]:
    """Measure the speed of a model, and look for the watched sounds among its labels.

    Parameters
    ----------
    settings : Settings
        Settings with the sources and the watched sounds.
    tagger : Tagger
        Model.
    reason : str
        Reason for the choice of the model.
    engine : str
        Engine of the model.
    best : BestModel, optional
        Best model that keeps up; None if it is not known.
    """
    name, classes = tagger.name, len(tagger.labels)
    window_seconds = tagger.window_samples / SAMPLE_RATE_HZ
    yield CheckResult(
        "model",
        "ok",
        f"{name} ({reason}), {classes} classes, windows of {window_seconds:g} s, {engine}",
        figures={"name": name, "classes": classes, "window_seconds": window_seconds, "engine": engine},
    )
    yield check_speed(
        tagger,
        window_samples=tagger.window_samples,
        hop_seconds=settings.mean_hop,
        sources=len(settings.source),
        remedies=[
            "a shorter --window",
            *faster_model(name, best),
            *(["--engine openvino"] if engine.startswith("torch cpu") else []),
        ],
    )
    if best is not None:
        yield _check_best(best, settings)
    overrides = settings.watch_overrides
    if len(overrides) < len(settings.source):
        yield check_sounds(settings.watched, tagger.labels, tagger.thresholds)
    for source, watch in overrides.items():
        yield check_sounds(watch, tagger.labels, tagger.thresholds, source=source)
    if settings.notified_sounds:
        yield check_notified_sounds(settings.notified_sounds, tagger.labels)


def _check_best(best: BestModel, settings: Settings) -> CheckResult:
    """Report which model keeps up."""
    hop, sources = f"a hop of {settings.mean_hop:g} s", len(settings.source)
    if best.name is None:
        return CheckResult(
            "best model", "warning", f"no model keeps up with {hop} here", figures={"name": None}
        )
    batch = "a window" if sources == 1 else f"{sources} windows"
    return CheckResult(
        "best model",
        "ok",
        f"{best.name} keeps up with {hop} here: about {best.seconds:.2g} s for {batch}",
        figures={"name": best.name, "estimated_seconds": round(best.seconds, 4)},
    )


def faster_model(name: str, best: BestModel | None) -> list[str]:
    """Return the option for a model that may keep up instead of this one."""
    faster = (best and best.name) or FASTEST
    return [f"--model {faster}"] if faster != name else []


def lacking(reason: str) -> Iterator[CheckResult]:
    """Report that the model can't be loaded, and that checks that need it are skipped."""
    yield CheckResult("model", "failed", "can't be loaded", reason)
    yield from (CheckResult(check, "skipped", "there is no model") for check in ("speed", "sounds"))

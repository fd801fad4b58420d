"""Checks of the model: loading, speed and watched sounds."""

from collections.abc import Iterator

from ..live.assembly import Tagger
from ..messages import SAMPLE_RATE_HZ
from ..settings.schema import Settings
from .result import CheckResult
from .speed import check_speed
from .watched_sounds import check_sounds


def check_model(settings: Settings, tagger: Tagger, *, reason: str, engine: str) -> Iterator[CheckResult]:
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
            *(["--model tiny"] if name != "tiny" else []),
            *(["--engine openvino"] if engine.startswith("torch cpu") else []),
        ],
    )
    overrides = settings.watch_overrides
    if len(overrides) < len(settings.source):
        yield check_sounds(settings.watched, tagger.labels, tagger.thresholds)
    for source, watch in overrides.items():
        yield check_sounds(watch, tagger.labels, tagger.thresholds, source=source)


def lacking(reason: str) -> Iterator[CheckResult]:
    """Report that the model can't be loaded, and that checks that need it are skipped."""
    yield CheckResult("model", "failed", "can't be loaded", reason)
    yield from (CheckResult(check, "skipped", "there is no model") for check in ("speed", "sounds"))

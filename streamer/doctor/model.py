"""Whether there is a model, keeps up, and can hear what is watched for."""

from collections.abc import Iterator

from ..live.assembly import Tagger
from ..messages import SAMPLE_RATE_HZ
from ..settings.schema import Settings
from .result import CheckResult
from .sounds import check_sounds
from .speed import check_speed


def check_model(settings: Settings, tagger: Tagger, *, why: str, engine: str) -> Iterator[CheckResult]:
    """Time a model, and look for the watched sounds among its classes.

    Parameters
    ----------
    settings : Settings
        What is listened to, and watched for.
    tagger : Tagger
        The model.
    why : str
        Why it was taken.
    engine : str
        What runs it.
    """
    name, classes = tagger.name, len(tagger.labels)
    window_seconds = tagger.window_samples / SAMPLE_RATE_HZ
    yield CheckResult(
        "model",
        "ok",
        f"{name} ({why}), {classes} classes, windows of {window_seconds:g} s, {engine}",
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
    own = settings.watch_overrides
    if len(own) < len(settings.source):
        yield check_sounds(settings.watched, tagger.labels, tagger.thresholds)
    for source, watch in own.items():
        yield check_sounds(watch, tagger.labels, tagger.thresholds, source=source)


def lacking(reason: str) -> Iterator[CheckResult]:
    """Say that the model can't be loaded, and that all that needs one is left out."""
    yield CheckResult("model", "failed", "can't be loaded", reason)
    yield from (CheckResult(check, "skipped", "there is no model") for check in ("speed", "sounds"))

"""Check that the model knows the watched sounds."""

from collections.abc import Sequence

from ..errors import SettingsError
from ..events.catalogue import Watch, known_sound_name, resolve_sounds
from ..messages import Samples
from .result import CheckResult


def check_notified_sounds(names: Sequence[str], labels: Sequence[str]) -> CheckResult:
    """Look for the sounds that the settings of notifications name among the labels of the model."""
    try:
        notified = [known_sound_name(name, labels) for name in names]
    except SettingsError as error:
        return CheckResult("notified sounds", "failed", "Earshot does not start", f"notifications: {error}")
    return CheckResult("notified sounds", "ok", ", ".join(notified))


def check_sounds(
    watch: Sequence[Watch] | None,
    labels: Sequence[str],
    thresholds: Samples | None = None,
    *,
    source: str | None = None,
) -> CheckResult:
    """Look for the watched sounds among the labels of the model.

    Parameters
    ----------
    watch, labels, thresholds
        As for `resolve_sounds`.
    source : str, optional
        Source of the list; None for the shared list.
    """
    check = "sounds" if source is None else f"sounds {source}"
    if watch is not None and not watch:
        return CheckResult(check, "skipped", "no sound is watched")
    try:
        sounds = resolve_sounds(watch, labels, thresholds)
    except SettingsError as error:
        return CheckResult(check, "failed", "not all sounds can be watched", str(error))
    names = [entry.sound.name for entry in sounds]
    if not names:
        return CheckResult(
            check,
            "warning",
            "the model knows none of the default sounds",
            "choose some of its labels with --watch",
        )
    origin = "default thresholds" if thresholds is None else "the thresholds of the model"
    return CheckResult(
        check,
        "ok",
        f"{len(names)} watched: {', '.join(names)}; with {origin}",
        figures={"sounds": names},
    )

"""Whether the model can hear what is watched for."""

from collections.abc import Sequence

from ..errors import SettingsError
from ..events.catalogue import Watch, resolve_sounds
from ..messages import Samples
from .result import CheckResult


def check_sounds(
    watch: Sequence[Watch] | None,
    labels: Sequence[str],
    thresholds: Samples | None = None,
    *,
    source: str | None = None,
) -> CheckResult:
    """Look for the watched sounds among the classes of the model.

    Parameters
    ----------
    watch, labels, thresholds
        As for `resolve_sounds`.
    source : str, optional
        Whose list of its own that is.
    """
    check = "sounds" if source is None else f"sounds {source}"
    if watch is not None and not watch:
        return CheckResult(check, "skipped", "no sound is watched for")
    try:
        sounds = resolve_sounds(watch, labels, thresholds)
    except SettingsError as error:
        return CheckResult(check, "failed", "not all can be watched for", str(error))
    names = [entry.sound.name for entry in sounds]
    if not names:
        return CheckResult(
            check,
            "warning",
            "the model knows none of the usual sounds",
            "name some of its labels with --watch",
        )
    whose = "the usual thresholds" if thresholds is None else "the model's own thresholds"
    return CheckResult(
        check,
        "ok",
        f"{len(names)} are watched for: {', '.join(names)}; with {whose}",
        figures={"sounds": names},
    )

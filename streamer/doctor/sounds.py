"""Whether the model can hear what is watched for."""

from collections.abc import Sequence

from ..errors import SettingsError
from ..messages import Samples
from ..sounds import Watch, resolve_sounds
from .finding import Finding

_CHECK = "sounds"


def check_sounds(
    watch: Sequence[Watch] | None, labels: Sequence[str], thresholds: Samples | None = None
) -> Finding:
    """Look for the watched sounds among the classes of the model; parameters as for `resolve_sounds`."""
    if watch is not None and not watch:
        return Finding(_CHECK, "skipped", "no sound is watched for")
    try:
        sounds = resolve_sounds(watch, labels, thresholds)
    except SettingsError as error:
        return Finding(_CHECK, "failed", "not all can be watched for", str(error))
    names = [entry.sound.name for entry in sounds]
    if not names:
        return Finding(
            _CHECK,
            "warning",
            "the model knows none of the usual sounds",
            "name some of its labels with --watch",
        )
    whose = "the usual thresholds" if thresholds is None else "the model's own thresholds"
    return Finding(
        _CHECK,
        "ok",
        f"{len(names)} are watched for: {', '.join(names)}; with {whose}",
        figures={"sounds": names},
    )

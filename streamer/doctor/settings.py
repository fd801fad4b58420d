"""Check of the settings: their places, and permissions of files with secrets."""

from collections.abc import Sequence
from pathlib import Path

from ..settings.loading import Place
from .disk import others_may
from .result import CheckResult

_CHECK = "settings"


def check_settings(places: Sequence[Place], secret_files: Sequence[Path] = ()) -> CheckResult:
    """Name the places of settings, and the files with secrets that other users can read.

    Parameters
    ----------
    places : sequence of Place
        Places where settings are set.
    secret_files : sequence of Path
        Files with secrets that the settings name.
    """
    found = "; ".join(f"{place.name} sets {', '.join(place.settings) or 'nothing'}" for place in places)
    found = found or "all settings have their defaults"
    figures = {"places": {place.name: list(place.settings) for place in places}}
    secret = [place.secret_file for place in places if place.secret_file is not None]
    exposed = [str(file) for file in (*secret, *secret_files) if others_may(file, 0o044)]
    if not exposed:
        return CheckResult(_CHECK, "ok", found, figures=figures)
    files = " and ".join(exposed)
    return CheckResult(
        _CHECK,
        "warning",
        f"{found}; other users can read the secret in {files}",
        f"run chmod go= {' '.join(exposed)}",
        figures,
    )

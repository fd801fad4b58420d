"""The option ``--reference`` of the command ``calibrate``: the offset between a microphone and a reference meter."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings
from ..failures import UsageError
from ..progress import bars

if TYPE_CHECKING:
    from streamer.settings.schema import Settings

_log = logging.getLogger(__name__)

USUAL_SECONDS = 10.0
"""Time to listen unless ``--for`` says otherwise."""


def calibrate_level(chosen: "Settings", reference_db: float, config: Path | None, *, apply: bool) -> None:
    """Measure a source while a meter beside it shows the reference; propose the offset as a change of the settings file.

    Raises
    ------
    UsageError
        There are several sources.
    SettingsError
        The settings file can't have an offset for the source.
    SourceError
        The source can't be measured, or is too quiet for the reference.
    """
    from streamer.settings.file import difference, read, with_noise_offset, write_atomically
    from streamer.settings.loading import settings_file

    if len(chosen.sources) != 1:
        raise UsageError("--reference measures one source: choose it with --source NAME")
    file = settings_file(config)
    with_noise_offset(read(file), chosen.sources[0].name, 0.0)  # refuses the file before the sound is played
    offset = _measured_offset_db(chosen, reference_db)
    before = read(file)  # it may have changed during the measurement
    after = with_noise_offset(before, chosen.sources[0].name, offset)
    typer.echo(difference(before, after, file), nl=False)
    if after == before:
        _log.info("%s needs no change", file)
    elif apply:
        write_atomically(file, after)
        _log.info("%s: changed", file)
    else:
        _log.info("%s is unchanged: give --apply to change it", file)
    if apply:
        settings.warn_if_overruled("noise_offset_db", config)


def _measured_offset_db(chosen: "Settings", reference_db: float) -> float:
    """Measure the only source, and return the offset at which it shows the reference."""
    from streamer.commands.reference import STEADY_DB, measure
    from streamer.errors import SourceError
    from streamer.live.assembly import open_sources
    from streamer.settings.fields import HIGHEST_OFFSET_DB

    (source,) = open_sources(chosen)
    seconds = chosen.duration or USUAL_SECONDS
    try:
        with bars() as update:
            found = measure(source, seconds, lambda heard: update("listening", min(heard, seconds), seconds))
    finally:
        source.close()
    offset = found.offset_db(reference_db)
    if offset > HIGHEST_OFFSET_DB:
        raise SourceError(
            f"{source.name}: {found.leq_dbfs:.1f} dBFS(A) is too quiet for a sound of {reference_db:g} dB(A); check that this is "
            "the right microphone, and its gain"
        )
    _log.info(
        "%s: %.1f dBFS(A) for %.0f s; with the meter at %g dB(A), noise_offset_db is %.1f",
        source.name,
        found.leq_dbfs,
        found.seconds,
        reference_db,
        offset,
    )
    if found.spread_db > STEADY_DB:
        _log.warning(
            "the level changed by %.1f dB: take a steady sound, such as a calibrator or noise from a loudspeaker, and try again",
            found.spread_db,
        )
    return offset

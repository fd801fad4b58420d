"""All checks of the stream, from the sources to the broker."""

from collections.abc import Iterator, Sequence

from ..errors import SettingsError
from ..live.switches import read_switched_off
from ..settings.loading import Place
from ..settings.schema import Settings
from . import broker
from .disk import check_folder, check_history
from .reach import check_reach
from .result import CheckResult
from .settings import check_settings
from .source import check_sources


def check_stream(settings: Settings, places: Sequence[Place], *, seconds: float) -> Iterator[CheckResult]:
    """Check everything that the settings name, one after the other.

    Parameters
    ----------
    settings : Settings
        Settings.
    places : sequence of Place
        Places where they are set.
    seconds : float
        Time to listen to each live source.
    """
    yield check_settings(places, settings.secret_files)
    yield from _check_sources(settings, seconds)
    yield check_history(settings.history_file)
    if any(source.clips for source in settings.sources):
        yield check_folder("clips", settings.clips_path)
    yield from _check_broker(settings)
    yield from check_reach(settings)


def _check_sources(settings: Settings, seconds: float) -> Iterator[CheckResult]:
    """Check the sources, except if it is unknown which of them are switched off."""
    try:
        switched_off = read_switched_off(settings.switches_file)
    except SettingsError as error:
        yield CheckResult("sources", "failed", "it is unknown which of them are switched off", str(error))
        return
    yield from check_sources(settings.sources, seconds=seconds, switched_off=switched_off)


def _check_broker(settings: Settings) -> Iterator[CheckResult]:
    if settings.embedded_broker:
        return broker.check_embedded()
    try:
        address = settings.broker()
    except SettingsError as error:
        return broker.unusable(error)
    if address is None:
        return broker.lacking()
    return broker.check_broker(
        address,
        node=settings.node,
        base_topic=settings.base_topic,
        discovery_prefix=None if settings.discovery == "off" else settings.discovery_prefix,
    )

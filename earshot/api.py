"""The Python interface: tag recordings and arrays, and listen live."""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from models.loading import load_tagger
from models.recording_names import is_recording_name
from streamer import messages
from streamer.errors import RecordingError, StreamerError
from streamer.messages import Event

from .message_queue import MessageQueue
from .own_sounds import with_own_sounds
from .progress import bar
from .taggings import Tagging, Taggings, require_list

if TYPE_CHECKING:
    from models.loading import AnyTagger
    from models.teaching.taught_tagger import TaughtTagger
    from streamer.settings.schema import Settings
    from streamer.sources import Source

    Model: TypeAlias = str | AnyTagger | TaughtTagger

Sound: TypeAlias = str | os.PathLike[str] | NDArray[Any]
"""A path of a recording, or samples (n,) or (n, channels): floats in [-1, 1], int16 or int32."""

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_LONGEST_HOP_SECONDS = 3600.0
_ROUNDING = 1e-6


@overload
def tag(
    sound: Sound,
    rate: float | None = ...,
    *,
    model: "Model" = ...,
    hop: float = ...,
    watch: None = ...,
    taught: bool = ...,
) -> Taggings: ...
@overload
def tag(
    sound: Sound,
    rate: float | None = ...,
    *,
    model: "Model" = ...,
    hop: float = ...,
    watch: Sequence[str],
    taught: bool = ...,
) -> list[Tagging | Event]: ...
def tag(
    sound: Sound,
    rate: float | None = None,
    *,
    model: "Model" = "tiny",
    hop: float = 1.0,
    watch: Sequence[str] | None = None,
    taught: bool = False,
) -> Taggings | list[Tagging | Event]:
    """Tag a recording or an array, window by window.

    Parameters
    ----------
    sound : path or array
        A recording in any format, or samples (n,) or (n, channels) of any length: floats in [-1, 1], int16 or int32.
        Channels are mixed.
    rate : float, optional
        Sample rate of an array; any other than 16,000 Hz is resampled.
    model : str or Tagger
        A model's name, as for `load_tagger`, or a tagger.
    hop : float
        Seconds between windows, a multiple of 0.01.
    watch : sequence of str, optional
        Sounds whose events to report too: names that ``earshot sounds`` lists, or labels of the model.
    taught : bool
        True to recognise the sounds that were taught on this machine, and to use the corrections, as the program does. By default the
        scores are those of the model alone, which are the same everywhere.

    Returns
    -------
    Taggings
        A list with a tagging per window, in order; the last window ends with the sound. It has the times and scores of all of them as
        arrays, events, tables and a picture. With `watch`, it is a plain list where each `Event` follows the tagging that brought it about.

    Raises
    ------
    StreamerError
        The recording can't be read, or a sound is unknown.
    ModelError
        The model can't be loaded.
    TypeError, ValueError
        The array has no rate, or another type or shape; the hop is invalid; or `watch` is a single text.
    """
    from streamer.commands.tag import tag as tag_source
    from streamer.events.catalogue import resolve_sounds

    settings = _settings((), hop, watch)
    source = _source(sound, rate)
    tagger = _tagger(model, taught=taught)
    sounds = resolve_sounds(settings.watched, tagger.labels, tagger.thresholds)
    found = _Collector(tagger.labels)
    tag_source(source, tagger, found, sounds, hop_samples=settings.hop_samples)
    if watch is not None:
        return found.messages
    return Taggings(found.messages, tagger.labels, tagger.thresholds)


def tag_folder(
    folder: str | os.PathLike[str],
    *,
    model: "Model" = "tiny",
    hop: float = 1.0,
    progress: bool = True,
    taught: bool = False,
) -> Iterator[tuple[Path, Taggings]]:
    """Tag all recordings of a folder and its sub-folders, one after the other; hidden ones are left out.

    Parameters
    ----------
    folder : path
        Folder to search.
    model, hop, taught
        As for `tag`.
    progress : bool
        True to show the progress on standard error.

    Yields
    ------
    path : Path
        Recording.
    taggings : Taggings
        Its taggings; only those of one recording are in memory.

    Raises
    ------
    StreamerError
        There are no recordings in the folder. A recording that can't be read is logged and left out.
    ModelError
        The model can't be loaded.
    TypeError, ValueError
        The hop is invalid.
    """
    recordings = _recordings_in(Path(folder))
    tagger = _tagger(model, taught=taught)
    with bar(f"tagging {os.fspath(folder)}") if progress else nullcontext(_ignore) as update:
        for done, path in enumerate(recordings):
            update(done, len(recordings))
            try:
                taggings = tag(path, model=tagger, hop=hop)
            except StreamerError as error:
                _log.warning("%s is left out: %s", path, error)
                continue
            yield path, taggings
        update(len(recordings), len(recordings))


def _recordings_in(folder: Path) -> list[Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if is_recording_name(path.name)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise RecordingError(f"there are no recordings in {folder}: give the folder that holds them")
    return found


def _ignore(_done: int, _total: int) -> None:
    """Show no progress."""


@overload
def listen(
    *sources: str,
    model: "Model" = ...,
    hop: float = ...,
    watch: None = ...,
    taught: bool = ...,
) -> Generator[Tagging, None, None]: ...
@overload
def listen(
    *sources: str,
    model: "Model" = ...,
    hop: float = ...,
    watch: Sequence[str],
    taught: bool = ...,
) -> Generator[Tagging | Event, None, None]: ...
def listen(
    *sources: str,
    model: "Model" = "tiny",
    hop: float = 1.0,
    watch: Sequence[str] | None = None,
    taught: bool = False,
) -> Generator[Tagging, None, None] | Generator[Tagging | Event, None, None]:
    """Listen live and iterate over what is heard.

    Threads start with the first step and end with the generator: when all sources have ended, or when it is closed. If
    you take longer than the hop, the oldest waiting taggings are dropped; events are not.

    Parameters
    ----------
    sources : str
        Sources as on the command line: ``mic``, ``mic:NAME``, a file, a URL, ``-`` or ``demo``. By default ``mic``.
    model : str or Tagger
        A model's name, as for `load_tagger`, or a tagger.
    hop : float
        Seconds between windows, a multiple of 0.01.
    watch : sequence of str, optional
        Sounds whose events to report too: names that ``earshot sounds`` lists, or labels of the model.
    taught : bool
        True to recognise the sounds that were taught on this machine, and to use the corrections, as the program does. By default the
        scores are those of the model alone, which are the same everywhere.

    Returns
    -------
    generator of Tagging
        Taggings as they come. With `watch`, each `Event` follows the tagging that brought it about.

    Raises
    ------
    StreamerError
        A source can't be opened or has failed, or a sound is unknown.
    ModelError
        The model can't be loaded.
    TypeError, ValueError
        The hop is invalid, or `watch` is a single text.
    """
    from streamer.live.assembly import open_sources

    settings = _settings(sources or ("mic",), hop, watch)
    opened = open_sources(settings)
    return _listen(settings, opened, _tagger(model, taught=taught))


def _listen(
    settings: "Settings", sources: "Sequence[Source]", tagger: "AnyTagger | TaughtTagger"
) -> Generator[Any, None, None]:
    """Run a session and yield its taggings and events."""
    from streamer.events.watchlist import WatchLists
    from streamer.live.assembly import make_session
    from streamer.live.switches import Switches
    from streamer.runtime.threads import ThreadGroup

    watchlists = WatchLists(settings.watched, {}, tagger.labels, tagger.thresholds)
    queue = MessageQueue(waiting_taggings=8 * len(sources))
    session = make_session(
        settings, sources, tagger, sinks=(queue,), switches=Switches(), watchlists=watchlists
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while True:
            running = threads.is_running("tagger") and not threads.failed
            for message in queue.take(_POLL_SECONDS if running else 0.0):
                yield _labelled(message, tagger.labels)
            if not running:
                break
    if session.failure is not None:
        raise session.failure


class _Collector:
    """A sink that keeps everything."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.messages: list[Any] = []
        self._labels = labels

    def accept(self, message: messages.Message) -> None:
        """Keep a tagging or an event."""
        self.messages.append(_labelled(message, self._labels))


def _labelled(message: messages.Message, labels: tuple[str, ...]) -> Any:
    """Give a tagging the names of its classes."""
    if not isinstance(message, messages.Tagging):
        return message
    values = {field.name: getattr(message, field.name) for field in fields(messages.Tagging)}
    return Tagging(**values, labels=labels)


def _settings(sources: Sequence[str], hop: float, watch: Sequence[str] | None) -> "Settings":
    """Return settings that depend on nothing but these values: no file, no environment."""
    from streamer.settings.loading import load_settings

    if not isinstance(hop, int | float | np.integer | np.floating):
        raise TypeError(f"hop must be a number of seconds, not {hop!r}")
    if watch is not None:
        require_list(watch)
    if not 0.01 <= hop <= _LONGEST_HOP_SECONDS or abs(hop * 100 - round(hop * 100)) > _ROUNDING:
        raise ValueError(f"hop must be a multiple of 0.01 s, from 0.01 s to an hour, not {hop:g}")
    values = {"source": list(sources) or None, "hop": hop, "watch": list(watch or [""]), "headless": True}
    return load_settings(values, config=Path(os.devnull), environment={}, is_readable=False)


def _source(sound: Sound, rate: float | None) -> "Source":
    from streamer.sources.memory import ArraySource
    from streamer.sources.recording import Recording, parse_recording

    if isinstance(sound, str | os.PathLike):
        path, selection = parse_recording(os.fspath(sound))
        recording = Recording(os.fspath(sound), path, live=False, selection=selection)
        recording.check()
        return recording
    if rate is None:
        raise TypeError("an array needs its sample rate: tag(samples, rate)")
    return ArraySource("array", np.asarray(sound), rate)


def _tagger(model: "Model", *, taught: bool) -> "AnyTagger | TaughtTagger":
    tagger = load_tagger(model) if isinstance(model, str | os.PathLike) else model
    return with_taught(tagger) if taught else tagger


def with_taught(tagger: "AnyTagger | TaughtTagger") -> "TaughtTagger":
    """Return a tagger that recognises the sounds that were taught on this machine too, and uses the corrections.

    Sounds that are taught later are not among them. The labels of the sounds come after those of the model.

    Parameters
    ----------
    tagger : Tagger
        A tagger, as `load_tagger` returns it.

    Examples
    --------
    >>> tagger = with_taught(load_tagger("tiny"))  # doctest: +SKIP
    >>> tagger.labels[527:]  # doctest: +SKIP
    ('Our doorbell',)
    """
    from models.teaching.taught_tagger import TaughtTagger

    return tagger if isinstance(tagger, TaughtTagger) else with_own_sounds(tagger)

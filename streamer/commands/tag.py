"""Tagging of recordings, for the command ``tag``."""

import logging
import sys
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING

from ..events.catalogue import WatchedSound, resolve_sounds
from ..events.detector import EventDetector
from ..messages import AudioChunk, Event, NoiseLevels, Tagging
from ..noise.source import SourceNoise
from ..settings.schema import Settings
from ..sinks import Sink
from ..sinks.payloads import LabelSet
from ..sinks.terminal.lines import JsonLines, RecordingEvents, RecordingLines
from ..sources import Source
from ..stream.offline import tag_stream

if TYPE_CHECKING:
    from ..live.assembly import Tagger

_log = logging.getLogger(__name__)


def sink_for(
    settings: Settings, tagger: "Tagger", label_set: LabelSet, *, events: bool
) -> tuple[Sink, Sequence[WatchedSound]]:
    """Return a sink for the results, and the sounds whose events it needs (none for windows).

    Parameters
    ----------
    settings : Settings
        Watched sounds and the form of the output.
    tagger : Tagger
        Model.
    label_set : LabelSet
        Names of its classes.
    events : bool
        True to write events instead of windows.

    Raises
    ------
    SettingsError
        A sound can't be watched.
    """
    if events:
        sounds = resolve_sounds(settings.watched, tagger.labels, tagger.thresholds)
        return RecordingEvents(sys.stdout, as_json=settings.json_lines), sounds
    lines = JsonLines if settings.json_lines else RecordingLines
    return lines(sys.stdout, label_set, settings.top), ()


def tag(
    recording: Source,
    tagger: "Tagger",
    sink: Sink,
    sounds: Sequence[WatchedSound],
    *,
    hop_samples: int,
    fast_samples: int | None = None,
    classes: int | None = None,
) -> Tagging | None:
    """Tag a recording window by window; return the tagging with the highest score, or None if it is empty.

    Parameters
    ----------
    recording : Source
        Recording.
    tagger : Tagger
        Model.
    sink : Sink
        Receives taggings and events.
    sounds : sequence of WatchedSound
        Sounds to detect.
    hop_samples : int
        Samples between windows.
    fast_samples : int, optional
        Length of the fast windows that report events sooner; None without these.
    classes : int, optional
        Number of labels, the first ones, whose highest score is looked for; by default all.

    Raises
    ------
    SourceError
        The recording is broken; everything before that is tagged.
    """
    messages = tag_stream(
        recording.name,
        _with_loud_noise(recording, sink, sounds),
        tagger,
        window_samples=tagger.window_samples,
        hop_samples=hop_samples,
        fast_samples=fast_samples if sounds else None,
        detector=EventDetector(sounds),
    )
    best: Tagging | None = None
    try:
        for message in messages:
            sink.accept(message)
            if isinstance(message, Tagging):
                best = max(best or message, message, key=lambda one: one.scores[:classes].max())
    finally:
        if count := recording.repaired_samples:
            _log.warning("%s: %d samples were not numbers; they count as silence", recording.name, count)
    return best


def _with_loud_noise(
    recording: Source, sink: Sink, sounds: Sequence[WatchedSound]
) -> Generator[AudioChunk, None, None]:
    """Yield the chunks of a recording, and give the sink the events that need no model."""
    noise = SourceNoise(recording.name)
    try:
        for chunk in recording.chunks():
            _accept(sink, noise.feed(chunk, sounds))
            yield chunk
    finally:
        _accept(sink, noise.finish())


def _accept(sink: Sink, messages: Iterable[NoiseLevels | Event]) -> None:
    for message in messages:
        if isinstance(message, Event):
            sink.accept(message)

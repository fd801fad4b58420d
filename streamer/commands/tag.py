"""What the command ``tag`` does with a recording."""

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..events.catalogue import WatchedSound, resolve_sounds
from ..events.detector import EventDetector
from ..messages import Tagging
from ..settings.schema import Settings
from ..sinks import Sink
from ..sinks.payloads import LabelSet
from ..sinks.terminal import JsonLines, RecordingEvents, RecordingLines
from ..sources import Source
from ..stream.pipeline import Pipeline

if TYPE_CHECKING:
    from ..live.assembly import Tagger

_log = logging.getLogger(__name__)


def sink_for(
    settings: Settings, tagger: "Tagger", label_set: LabelSet, *, events: bool
) -> tuple[Sink, Sequence[WatchedSound]]:
    """Where what is heard in recordings goes, and the sounds to decide on: none where only windows are told.

    Parameters
    ----------
    settings : Settings
        What is watched for, and how it is written.
    tagger : Tagger
        What scores.
    label_set : LabelSet
        What its labels are called.
    events : bool
        Whether to tell when sounds begin and end, instead of windows.

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
    recording: Source, tagger: "Tagger", sink: Sink, sounds: Sequence[WatchedSound], *, hop_samples: int
) -> Tagging | None:
    """Tag a recording window by window; the tagging with the highest score, None without sound.

    Parameters
    ----------
    recording : Source
        What to tag.
    tagger : Tagger
        What scores its windows.
    sink : Sink
        Is told of taggings and events.
    sounds : sequence of WatchedSound
        What to decide on.
    hop_samples : int
        From the end of one window to the end of the next.

    Raises
    ------
    SourceError
        The recording broke off; what came before is tagged.
    """
    pipeline = Pipeline(
        recording.name,
        window_samples=tagger.window_samples,
        hop_samples=hop_samples,
        live=recording.live,
        detector=EventDetector(sounds),
    )
    best: Tagging | None = None
    try:
        for message in pipeline.run(recording.chunks(), tagger):
            sink.accept(message)
            if isinstance(message, Tagging) and (best is None or message.scores.max() > best.scores.max()):
                best = message
    finally:
        if count := recording.repaired_samples:
            _log.warning("%s: %d samples were not numbers and count as silence", recording.name, count)
    return best

"""Recording of clips: the audio of events, unless it contains a forbidden sound."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...events.catalogue import WatchedSound
from ...messages import (
    SAMPLE_RATE_HZ,
    WINDOW_SAMPLES,
    AudioChunk,
    Event,
    Tagging,
)
from ..payloads import clip_payload, to_json
from .audio_buffer import AudioBuffer, Excerpt, Pcm
from .folder import ClipFolder
from .spans import Spans

_LATEST_SAMPLES = 60 * SAMPLE_RATE_HZ
"""Maximum delay of the tagger behind live sources, beyond which audio is discarded."""


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """Limits of a clip around its event.

    Attributes
    ----------
    pre_samples, post_samples : int
        Audio before the start, and after the end as far as it has been tagged when the end is detected.
    longest_samples : int
        Maximum length from the start; of a longer sound, the first part is kept.
    """

    pre_samples: int
    post_samples: int
    longest_samples: int


class Clips:
    """Records the audio of events to files, with a description beside each.

    The readers' threads call `write`; the tagger's thread calls everything else, in stream order: for each tagging first
    `observe`, then `record` for its events. Memory is bounded: the last seconds of each source, and at most one clip for each
    active event.

    A window in which a sound of `never` reaches its threshold forbids all clips that overlap it, and so does audio that is in no
    window, because its content is unknown. Windows count up to the one in which the end was detected.

    Parameters
    ----------
    folder : Path
        Folder of the clips.
    sources : sequence of str
        Names of the sources to record.
    model : str
        Name of the model.
    limits : ClipLimits
        Length of the clips.
    never : sequence of WatchedSound
        Sounds that must not be recorded.
    days : float
        Maximum age of clips.
    max_bytes : int
        Maximum size of all clips.
    fast : bool
        True if sources wait for the tagger: then no audio is discarded before it has been tagged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sources: Sequence[str],
        model: str,
        limits: ClipLimits,
        never: Sequence[WatchedSound],
        days: float,
        max_bytes: int,
        fast: bool = False,
    ) -> None:
        needed = limits.pre_samples + limits.longest_samples + WINDOW_SAMPLES
        capacity = None if fast else needed + _LATEST_SAMPLES
        self._model = model
        self._never = never
        self._limits = limits
        self._capacity = capacity
        self._recorders: dict[str, _SourceRecorder] = {}
        for name in sources:
            self.add(name)
        self._folder = ClipFolder(folder, days=days, max_bytes=max_bytes)

    def set_model(self, model: str, never: Sequence[WatchedSound]) -> None:
        """Name another model in clips from now on, and forbid these sounds; the tagger's thread calls this."""
        self._model, self._never = model, never

    def add(self, source: str) -> None:
        """Record one more source, or a new one with the same name."""
        self._recorders[source] = _SourceRecorder(
            AudioBuffer(self._capacity), self._limits, strict=bool(self._never)
        )

    def remove(self, source: str) -> None:
        """Stop recording a source; its events have ended."""
        self._recorders.pop(source, None)

    def has(self, source: str) -> bool:
        """Return True if a source is recorded."""
        return source in self._recorders

    def write(self, source: str, chunk: AudioChunk) -> None:
        """Append a chunk of a source."""
        if recorder := self._recorders.get(source):
            recorder.buffer.write(chunk)

    def observe(self, tagging: Tagging) -> None:
        """Process a tagging, and discard audio that no event needs any more."""
        if recorder := self._recorders.get(tagging.source):
            recorder.observe(tagging, forbidden=any(sound.is_on(tagging.scores) for sound in self._never))
        self._folder.prune_if_due()

    def record(self, event: Event) -> Event:
        """Write the clip of an event that has ended; return the event with the path, or unchanged if there is no clip."""
        recorder = self._recorders.get(event.source)
        if recorder is None:
            return event
        if event.kind != "ended":
            recorder.begin(event)
            return event
        excerpt = recorder.end(event)
        if excerpt is None or event.start_sample is None or event.withdrawn:
            return event
        path = self._folder.name(event)
        recorded = replace(event, clip=str(path))
        description = clip_payload(
            recorded,
            started_at=event.started_at + (excerpt.start_sample - event.start_sample) / SAMPLE_RATE_HZ,
            samples=len(excerpt.samples),
            gaps=excerpt.gaps,
            model=self._model,
        )
        return recorded if self._folder.write(path, _flac(excerpt.samples), to_json(description)) else event

    def discard(self, source: str) -> None:
        """Discard the tagged audio of a source that is offline; its events have ended."""
        if recorder := self._recorders.get(source):
            recorder.discard()


class _SourceRecorder:
    """Recorder of one source: its audio, its tagged and forbidden spans, and its active events."""

    def __init__(self, buffer: AudioBuffer, limits: ClipLimits, *, strict: bool) -> None:
        self.buffer = buffer
        self._limits = limits
        self._strict = strict
        self._tagged = Spans()
        self._forbidden = Spans()
        self._tagged_until = 0
        self._lasting: dict[str, int] = {}  # start of each event whose clip is not complete
        self._complete: dict[str, Excerpt | None] = {}  # clips of events that last longer than the limit

    def observe(self, tagging: Tagging, *, forbidden: bool) -> None:
        """Process the next tagging."""
        self._tagged.add(tagging.start_sample, tagging.end_sample)
        if forbidden:
            self._forbidden.add(tagging.start_sample, tagging.end_sample)
        self._tagged_until = tagging.end_sample
        for key, start_sample in list(self._lasting.items()):
            end_sample = start_sample + self._limits.longest_samples
            if tagging.start_sample >= end_sample:  # no later window overlaps it
                del self._lasting[key]
                self._complete[key] = self._cut(start_sample, end_sample)
        # A later event does not start before the newest window.
        earliest = min([tagging.start_sample, *self._lasting.values()]) - self._limits.pre_samples
        self.buffer.discard(earliest)
        self._tagged.discard(earliest)
        self._forbidden.discard(earliest)

    def begin(self, event: Event) -> None:
        """Keep the audio of an event that has started; a confirmation changes nothing."""
        if event.start_sample is not None and event.kind == "started":
            self._lasting[event.id] = event.start_sample

    def end(self, event: Event) -> Excerpt | None:
        """Return the audio of an event, if it may be recorded."""
        self._lasting.pop(event.id, None)
        if event.id in self._complete:
            return self._complete.pop(event.id)
        if event.start_sample is None or event.end_sample is None:
            return None
        if self._tagged_until <= event.start_sample:
            return None  # nothing of it is in a window, as of a noise at the end of a stream
        latest = event.start_sample + self._limits.longest_samples
        return self._cut(event.start_sample, min(event.end_sample + self._limits.post_samples, latest))

    def discard(self) -> None:
        """Discard tagged audio."""
        self.buffer.discard(self._tagged_until)

    def _cut(self, start_sample: int, end_sample: int) -> Excerpt | None:
        excerpt = self.buffer.cut(
            start_sample - self._limits.pre_samples, min(end_sample, self._tagged_until)
        )
        if excerpt is None or not self._strict:
            return excerpt
        span = excerpt.start_sample, excerpt.end_sample
        return excerpt if self._tagged.cover(*span) and not self._forbidden.overlap(*span) else None


def _flac(samples: Pcm) -> bytes:
    """Encode samples, int16 (n,), as a FLAC file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()

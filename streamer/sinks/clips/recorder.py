"""The sound of what was heard, kept as clips: where it was switched on, and nothing was heard that must not be kept."""

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
"""How far a tagger may be behind the sound of live sources before the sound is forgotten."""


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """What of the sound around an event belongs to its clip.

    Attributes
    ----------
    pre_samples, post_samples : int
        From before its beginning, and from after its end as far as that has been tagged when the end is decided.
    longest_samples : int
        From its beginning on, at most: of a longer sound, the beginning is kept.
    """

    pre_samples: int
    post_samples: int
    longest_samples: int


class Clips:
    """Keeps the sound of events in files, with what is to know of it beside them.

    `hear` is called by the threads that read, all else by the one that tags, in the order of the stream: of each tagging first
    `heed`, then `keep` for the events that it decides. Memory is bounded: there are the last seconds of each source, and
    one clip at most for each sound that is on.

    A window in which a sound of `never` reaches its threshold forbids all clips that overlap it. So does a stretch that
    is in no window, since nobody knows what there was to hear. Windows count up to the one that decided the end.

    Parameters
    ----------
    folder : Path
        Where the files go.
    sources : sequence of str
        The names of the sources whose sound is kept; of others, nothing is.
    model : str
        What names the sounds.
    limits : ClipLimits
        What is kept.
    never : sequence of WatchedSound
        What must not be kept; without any, everything may be.
    days : float
        How long clips are kept.
    most_bytes : int
        What they take together, at most.
    fast : bool
        Whether sources wait for the tagger: nothing is forgotten then before it has been tagged.
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
        most_bytes: int,
        fast: bool = False,
    ) -> None:
        needed = limits.pre_samples + limits.longest_samples + WINDOW_SAMPLES
        capacity = None if fast else needed + _LATEST_SAMPLES
        self._model = model
        self._never = never
        self._limits = limits
        self._capacity = capacity
        self._keepers: dict[str, _Keeper] = {}
        for name in sources:
            self.add(name)
        self._folder = ClipFolder(folder, days=days, most_bytes=most_bytes)

    def add(self, source: str) -> None:
        """Keep the sound of one more source, or of another one under the same name."""
        self._keepers[source] = _Keeper(AudioBuffer(self._capacity), self._limits, strict=bool(self._never))

    def remove(self, source: str) -> None:
        """Keep the sound of a source no longer; its events have ended."""
        self._keepers.pop(source, None)

    def hear(self, source: str, chunk: AudioChunk) -> None:
        """Take what a source delivers."""
        if keeper := self._keepers.get(source):
            keeper.buffer.write(chunk)

    def heed(self, tagging: Tagging) -> None:
        """Note what was heard in a window, and let go of sound that no event can want any more."""
        if keeper := self._keepers.get(tagging.source):
            keeper.heed(tagging, forbidden=any(sound.is_on(tagging.scores) for sound in self._never))
        self._folder.tend()

    def keep(self, event: Event) -> Event:
        """Write the clip of an event that has ended; return the event with its path, or as it was if there is none."""
        keeper = self._keepers.get(event.source)
        if keeper is None:
            return event
        if event.kind == "started":
            keeper.begin(event)
            return event
        excerpt = keeper.end(event)
        if excerpt is None or event.start_sample is None:
            return event
        path = self._folder.name(event)
        told = replace(event, clip=str(path))
        description = clip_payload(
            told,
            started_at=event.started_at + (excerpt.start_sample - event.start_sample) / SAMPLE_RATE_HZ,
            samples=len(excerpt.samples),
            gaps=excerpt.gaps,
            model=self._model,
        )
        return told if self._folder.write(path, _flac(excerpt.samples), to_json(description)) else event

    def forget(self, source: str) -> None:
        """Let go of what has been tagged of a source that nobody listens to any more; its events have ended."""
        if keeper := self._keepers.get(source):
            keeper.forget()


class _Keeper:
    """One source: its sound, what was heard in it, and the events that wait for their end."""

    def __init__(self, buffer: AudioBuffer, limits: ClipLimits, *, strict: bool) -> None:
        self.buffer = buffer
        self._limits = limits
        self._strict = strict
        self._tagged = Spans()
        self._forbidden = Spans()
        self._tagged_until = 0
        self._lasting: dict[str, int] = {}  # where the sounds began whose clips are not complete
        self._complete: dict[str, Excerpt | None] = {}  # clips of sounds that are on for longer than that

    def heed(self, tagging: Tagging, *, forbidden: bool) -> None:
        """Take the next tagging."""
        self._tagged.add(tagging.start_sample, tagging.end_sample)
        if forbidden:
            self._forbidden.add(tagging.start_sample, tagging.end_sample)
        self._tagged_until = tagging.end_sample
        for key, start_sample in list(self._lasting.items()):
            end_sample = start_sample + self._limits.longest_samples
            if tagging.start_sample >= end_sample:  # no later window overlaps it
                del self._lasting[key]
                self._complete[key] = self._cut(start_sample, end_sample)
        # What is yet to begin does not begin before the newest window.
        earliest = min([tagging.start_sample, *self._lasting.values()]) - self._limits.pre_samples
        self.buffer.forget(earliest)
        self._tagged.forget(earliest)
        self._forbidden.forget(earliest)

    def begin(self, event: Event) -> None:
        """Hold on to the sound of an event."""
        if event.start_sample is not None:
            self._lasting[event.id] = event.start_sample

    def end(self, event: Event) -> Excerpt | None:
        """Return the sound of an event, if it may be kept."""
        self._lasting.pop(event.id, None)
        if event.id in self._complete:
            return self._complete.pop(event.id)
        if event.start_sample is None or event.end_sample is None:
            return None
        latest = event.start_sample + self._limits.longest_samples
        return self._cut(event.start_sample, min(event.end_sample + self._limits.post_samples, latest))

    def forget(self) -> None:
        """Let go of what has been tagged."""
        self.buffer.forget(self._tagged_until)

    def _cut(self, start_sample: int, end_sample: int) -> Excerpt | None:
        excerpt = self.buffer.cut(
            start_sample - self._limits.pre_samples, min(end_sample, self._tagged_until)
        )
        if excerpt is None or not self._strict:
            return excerpt
        span = excerpt.start_sample, excerpt.end_sample
        return excerpt if self._tagged.cover(*span) and not self._forbidden.touch(*span) else None


def _flac(samples: Pcm) -> bytes:
    """Encode samples int16 (n,) as a FLAC file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()

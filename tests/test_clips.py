"""Clips: which sound is kept, which never is, and the folder it is kept in."""

import json
import logging
import os
import resource
import stat
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.session import live_session

from streamer.events.catalogue import Watch, resolve_sounds
from streamer.live.session import LiveSession
from streamer.live.switches import Switches
from streamer.messages import AudioChunk, Event, Message, Samples, Tagging
from streamer.runtime.threads import ThreadGroup
from streamer.sinks.clips.audio_buffer import AudioBuffer
from streamer.sinks.clips.folder import ClipFolder, delete_clip, keep_clip
from streamer.sinks.clips.recorder import ClipLimits, Clips
from streamer.sinks.clips.spans import Spans

RATE, WINDOW = 16_000, 4 * 16_000
ANCHOR = 1_772_366_400.25  # 2026-03-01T12:00:00.250Z
DAY_SECONDS = 86_400.0
LABELS = ("Dog", "Speech")
SPEECH = resolve_sounds([Watch("Speech", {"threshold": 0.5})], LABELS)
PCM = np.random.default_rng(0).integers(-32_768, 32_768, 120 * RATE).astype(np.int16)
SOUND = (PCM / np.float32(32_768)).astype(np.float32)


def clips(
    folder: Path, *, longest: float = 30.0, sources: Sequence[str] = ("desk",), **changes: Any
) -> Clips:
    plain: dict[str, Any] = {"model": "tiny", "never": SPEECH, "days": 36_500.0, "max_bytes": 10**9}
    return Clips(
        folder,
        sources=sources,
        limits=ClipLimits(2 * RATE, 2 * RATE, round(longest * RATE)),
        **(plain | changes),
    )


@dataclass
class Ear:
    """Hears `SOUND` as one source, and tags a window of 4 s each second.

    Attributes
    ----------
    speech : pairs of float
        From when to when there is speech, in seconds: each window that overlaps it hears it.
    deaf : pairs of float
        From when to when no sound comes.
    late : pairs of float
        From when to when no window is tagged, for it ends then.
    """

    clips: Clips
    source: str = "desk"
    speech: Sequence[tuple[float, float]] = ()
    deaf: Sequence[tuple[float, float]] = ()
    late: Sequence[tuple[float, float]] = ()
    chunk_samples: int = 1_600
    _seconds: int = field(default=0, init=False)

    def listen(self, until: int) -> None:
        for second in range(self._seconds + 1, until + 1):
            for start in range((second - 1) * RATE, second * RATE, self.chunk_samples):
                if not _within(start / RATE, self.deaf):
                    stop = min(start + self.chunk_samples, second * RATE)
                    self.clips.write(self.source, AudioChunk(SOUND[start:stop], start, ANCHOR + start / RATE))
            if not _within(second, self.late):
                self.clips.observe(self._tagging(second))
        self._seconds = until

    def _tagging(self, second: int) -> Tagging:
        start = max(0, second * RATE - WINDOW)
        speaks = any(begin < second and start / RATE < end for begin, end in self.speech)
        scores = np.array([0.9, 0.6 if speaks else 0.4], np.float32)
        return Tagging(self.source, start, second * RATE, ANCHOR + second, scores, -20.0, None)


def _within(seconds: float, spans: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= seconds < end for begin, end in spans)


def started(start_sample: int, source: str = "desk", label: str = "Dog") -> Event:
    at = ANCHOR + start_sample / RATE
    return Event(uuid.uuid4().hex, "started", label, source, 0.5, at, start_sample=start_sample)


def ended(event: Event, end_sample: int) -> Event:
    return replace(event, kind="ended", ended_at=ANCHOR + end_sample / RATE, end_sample=end_sample)


def bark(ear: Ear, start: int, end: int, *, told: int = 20) -> Event:
    """Hear a dog from one second to another, told of at once and some seconds later; the event of its end."""
    ear.listen(start + 1)
    event = started(start * RATE, ear.source)
    assert ear.clips.record(event) is event
    ear.listen(told)
    return ear.clips.record(ended(event, end * RATE))


def read(event: Event) -> NDArray[np.int16]:
    assert event.clip is not None
    samples, rate = soundfile.read(event.clip, dtype="int16")
    assert rate == RATE
    return np.asarray(samples)


def described(event: Event) -> dict[str, Any]:
    assert event.clip is not None
    description: dict[str, Any] = json.loads(Path(event.clip).with_suffix(".json").read_text())
    return description


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("chunk_samples", [100, 1_600, 7_777])
def test_a_clip_is_the_sound_with_what_came_before_and_after_to_the_sample(
    tmp_path: Path, chunk_samples: int
) -> None:
    ear = Ear(clips(tmp_path), chunk_samples=chunk_samples)
    ear.listen(6)
    event = started(80_123)
    ear.clips.record(event)
    ear.listen(12)
    told = ear.clips.record(ended(event, 112_345))
    np.testing.assert_array_equal(read(told), PCM[80_123 - 2 * RATE : 112_345 + 2 * RATE])
    assert told == replace(ended(event, 112_345), clip=told.clip)
    assert told.clip == str(tmp_path / "2026-03-01" / f"120005257-desk-dog-{event.id[:8]}.flac")
    assert soundfile.info(told.clip).subtype == "PCM_16"


def test_a_clips_description_is_stored_beside_it(tmp_path: Path) -> None:
    told = bark(Ear(clips(tmp_path)), 5, 8)
    description = described(told)
    assert description.pop("event") == {
        "event_type": "ended",
        "id": told.id,
        "label": "Dog",
        "score": 0.5,
        "started_at": "2026-03-01T12:00:05.250Z",
        "ended_at": "2026-03-01T12:00:08.250Z",
        "clip": told.clip,
        "confirmed": True,
        "fast_score": None,
    }
    assert description == {
        "source": "desk",
        "model": "tiny",
        "started_at": "2026-03-01T12:00:03.250Z",
        "ended_at": "2026-03-01T12:00:10.250Z",
        "samples": 7 * RATE,
        "sample_rate_hz": RATE,
        "gaps": [],
    }


def test_a_clip_reaches_from_the_beginning_of_the_stream_to_what_has_been_tagged(tmp_path: Path) -> None:
    told = bark(Ear(clips(tmp_path)), 1, 8, told=9)
    np.testing.assert_array_equal(read(told), PCM[: 9 * RATE])


def test_a_clip_keeps_the_beginning_of_a_sound_that_is_longer(tmp_path: Path) -> None:
    told = bark(Ear(clips(tmp_path, longest=5.0)), 10, 99, told=110)
    np.testing.assert_array_equal(read(told), PCM[8 * RATE : 15 * RATE])


def test_the_buffer_is_bounded_however_long_a_sound_or_silence_lasts(tmp_path: Path) -> None:
    keeping = clips(tmp_path, longest=5.0)
    ear = Ear(keeping)
    buffer = keeping._recorders["desk"].buffer

    def held() -> int:
        return sum(len(chunk.samples) for chunk in buffer._chunks)

    ear.listen(40)
    assert held() <= WINDOW + 2 * RATE, "a window, and what came before it"
    keeping.record(started(40 * RATE))
    ear.listen(100)
    assert held() <= WINDOW + 2 * RATE
    for second in range(1_000):  # the tagger is stuck
        keeping.write("desk", AudioChunk(SOUND[:RATE], (100 + second) * RATE, 0.0))
    assert held() <= (2 + 5 + 60) * RATE + 163_840 + RATE


def test_a_gap_is_silence_in_the_clip_and_named_beside_it(tmp_path: Path) -> None:
    told = bark(Ear(clips(tmp_path), deaf=[(6.0, 7.0)]), 5, 8)
    expected = PCM[3 * RATE : 10 * RATE].copy()
    expected[3 * RATE : 4 * RATE] = 0
    np.testing.assert_array_equal(read(told), expected)
    assert described(told)["gaps"] == [{"start_sample": 3 * RATE, "end_sample": 4 * RATE}]


@pytest.mark.parametrize(
    ("speech", "kept"),
    [
        ((6.0, 7.0), False),  # during the sound
        ((3.2, 3.4), False),  # before it, in the clip
        ((9.5, 9.9), False),  # after it, in the clip
        ((11.0, 12.0), False),  # after the clip, in a window that overlaps it
        ((0.2, 0.4), False),  # before the clip, in a window that overlaps it
        ((13.0, 14.0), True),
    ],
)
def test_no_clip_overlaps_a_window_with_speech(
    tmp_path: Path, speech: tuple[float, float], *, kept: bool
) -> None:
    told = bark(Ear(clips(tmp_path), speech=[speech]), 5, 8)
    assert (told.clip is not None) == kept
    assert len(list(tmp_path.rglob("*.*"))) == (2 if kept else 0)


def test_speech_before_the_sound_does_not_matter_once_it_has_left_the_windows(tmp_path: Path) -> None:
    ear = Ear(clips(tmp_path), speech=[(1.0, 3.0)])
    assert bark(ear, 6, 7, told=12).clip is None
    assert bark(ear, 15, 16, told=22).clip is not None


@pytest.mark.parametrize(
    ("speech", "kept"), [((12.0, 13.0), False), ((17.2, 17.8), False), ((19.5, 20.0), True)]
)
def test_speech_during_a_long_sound_forbids_its_clip_only_around_the_clip(
    tmp_path: Path, speech: tuple[float, float], *, kept: bool
) -> None:
    told = bark(Ear(clips(tmp_path, longest=5.0), speech=[speech]), 10, 60, told=70)
    assert (told.clip is not None) == kept, "the clip ends at 15 s, windows that overlap it at 18 s"


def test_without_a_sound_that_must_not_be_kept_speech_is_kept_too(tmp_path: Path) -> None:
    told = bark(Ear(clips(tmp_path, never=()), speech=[(0.0, 20.0)]), 5, 8)
    np.testing.assert_array_equal(read(told), PCM[3 * RATE : 10 * RATE])


def test_a_stretch_that_is_in_no_window_forbids_a_clip_unless_everything_may_be_kept(tmp_path: Path) -> None:
    unheard = [(7.0, 13.0)]  # windows end at 6 s and at 13 s: nobody looked at what was from 6 s to 9 s
    assert bark(Ear(clips(tmp_path), late=unheard), 4, 8).clip is None
    assert not list(tmp_path.rglob("*.*"))
    told = bark(Ear(clips(tmp_path, never=()), late=unheard), 4, 8)
    np.testing.assert_array_equal(read(told), PCM[2 * RATE : 10 * RATE])


def test_dropped_windows_do_no_harm_while_the_others_overlap(tmp_path: Path) -> None:
    assert bark(Ear(clips(tmp_path), late=[(7.0, 10.0)]), 4, 8).clip is not None


def test_each_source_has_its_own_sound_and_its_own_speech(tmp_path: Path) -> None:
    keeping = clips(tmp_path, sources=("desk", "Front door"))
    desk, door = Ear(keeping, speech=[(5.0, 6.0)]), Ear(keeping, "Front door")
    for second in range(1, 7):
        desk.listen(second)
        door.listen(second)
    at_the_desk, at_the_door = started(5 * RATE), started(5 * RATE, "Front door")
    keeping.record(at_the_desk)
    keeping.record(at_the_door)
    desk.listen(20)
    door.listen(20)
    assert keeping.record(ended(at_the_desk, 8 * RATE)).clip is None
    told = keeping.record(ended(at_the_door, 8 * RATE))
    np.testing.assert_array_equal(read(told), PCM[3 * RATE : 10 * RATE])
    assert "-front_door-dog-" in str(told.clip)


def test_sounds_at_the_same_time_have_a_clip_each(tmp_path: Path) -> None:
    ear = Ear(clips(tmp_path))
    ear.listen(6)
    dog, cat = started(5 * RATE), started(4 * RATE, label="Cat")
    ear.clips.record(dog)
    ear.clips.record(cat)
    ear.listen(20)
    np.testing.assert_array_equal(read(ear.clips.record(ended(dog, 8 * RATE))), PCM[3 * RATE : 10 * RATE])
    np.testing.assert_array_equal(read(ear.clips.record(ended(cat, 6 * RATE))), PCM[2 * RATE : 8 * RATE])


def test_an_end_without_sound_or_without_a_place_in_the_stream_has_no_clip(tmp_path: Path) -> None:
    keeping = clips(tmp_path)
    unheard = ended(started(0), RATE)
    assert keeping.record(unheard) is unheard
    Ear(keeping).listen(10)
    placeless = replace(unheard, start_sample=None, end_sample=None)
    assert keeping.record(placeless) is placeless
    assert not list(tmp_path.rglob("*.*"))


def test_names_of_any_length_and_script_make_a_name_that_is_recognised(tmp_path: Path) -> None:
    keeping = clips(tmp_path, sources=("厨房" * 200,))
    ear = Ear(keeping, "厨房" * 200)
    ear.listen(10)
    event = started(5 * RATE, ear.source, label="Bell, or chime " * 40)
    keeping.record(event)
    told = keeping.record(ended(event, 6 * RATE))
    assert told.clip is not None
    assert len(Path(told.clip).name) < 200
    ClipFolder(tmp_path, days=0.1, max_bytes=10**9)
    assert not list(tmp_path.iterdir())


def test_only_its_owner_can_read_a_clip_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bark(Ear(clips(tmp_path / "data" / "clips")), 5, 8)
    finally:
        os.umask(before)
    made = sorted((tmp_path / "data").rglob("*"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700, 0o700, 0o600, 0o600]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_the_permissions_of_a_folder_that_is_there_stay_as_they_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    bark(Ear(clips(tmp_path)), 5, 8)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_restart_continues_in_the_same_folder(tmp_path: Path) -> None:
    first, second = bark(Ear(clips(tmp_path)), 5, 8), bark(Ear(clips(tmp_path)), 5, 8)
    np.testing.assert_array_equal(read(first), read(second))
    assert first.clip != second.clip


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can become larger than some bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_on_a_full_disk_there_is_no_clip_and_nothing_is_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Ear(clips(tmp_path))
    with full_disk():
        assert bark(ear, 5, 8).clip is None
        assert bark(ear, 25, 28, told=40).clip is None
    assert not list(tmp_path.rglob("*.*"))
    (line,) = warnings_of(caplog)
    assert f"clips in {tmp_path}: can't be written or deleted (file too large); listening goes on" in line
    assert bark(ear, 45, 48, told=60).clip is not None


def test_an_unwritable_folder_is_reported_at_the_start_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "clips"
    folder.write_text("a file where a folder should be")
    ear = Ear(clips(folder))
    assert len(warnings_of(caplog)) == 1
    assert bark(ear, 5, 8).clip is None
    assert len(warnings_of(caplog)) == 1
    folder.unlink()
    assert bark(ear, 25, 28, told=40).clip is not None


def make(folder: Path, days_ago: float, size: int = 1_000, number: int = 0, suffix: str = "") -> list[Path]:
    """Write the two files of a clip of some days ago."""
    clip_folder = ClipFolder(folder, days=36_500.0, max_bytes=10**9)
    event = replace(started(0), id=f"{number:08x}", started_at=time.time() - days_ago * DAY_SECONDS)
    flac = clip_folder.name(event)
    assert clip_folder.write(flac, bytes(size), "{}")
    files = [flac, flac.with_suffix(".json")]
    return [file.rename(file.with_name(file.name + suffix)) for file in files]


def there(*clips: list[Path]) -> list[bool]:
    return [all(file.exists() for file in clip) and any(file.exists() for file in clip) for clip in clips]


def test_clips_that_are_too_old_go_at_the_start_also_unfinished_ones(tmp_path: Path) -> None:
    old, unfinished = make(tmp_path, 9.0), make(tmp_path, 8.0, suffix=".part")
    young, young_unfinished = make(tmp_path, 6.0), make(tmp_path, 0.0, suffix=".part")
    ClipFolder(tmp_path, days=7.0, max_bytes=10**9)
    assert there(old, unfinished, young, young_unfinished) == [False, False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {young[0].parent.name, young_unfinished[0].parent.name}
    ), "the folder of a day goes with its last clip"


def test_clips_that_become_too_old_go_now_and_then(tmp_path: Path) -> None:
    keeping = clips(tmp_path, days=7.0)
    old = make(tmp_path, 9.0)
    Ear(keeping).listen(3)
    assert there(old) == [True]
    keeping._folder._pruning_due._next = 0
    Ear(keeping).listen(1)
    assert there(old) == [False]


def test_the_oldest_clips_go_where_there_is_no_room_for_a_new_one(tmp_path: Path) -> None:
    oldest, older, old = (make(tmp_path, days, size=1_000, number=int(days)) for days in (3.0, 2.0, 1.0))
    folder = ClipFolder(tmp_path, days=7.0, max_bytes=3_100)
    assert there(oldest, older, old) == [True, True, True]
    new = folder.name(replace(started(0), started_at=time.time()))
    assert folder.write(new, bytes(1_500), "{}")
    assert there(oldest, older, old, [new]) == [False, False, True, True]
    assert folder.write(new.with_stem(f"{new.stem[:-8]}ffffffff"), bytes(9_000), "{}")
    assert len(list(tmp_path.rglob("*.flac"))) == 1, "the newest is kept even if it takes more"


def test_a_clip_that_is_kept_stays_and_does_not_count(tmp_path: Path) -> None:
    ancient, oldest, old = (make(tmp_path, days, size=1_000, number=int(days)) for days in (90.0, 3.0, 2.0))
    for kept in (ancient, oldest):
        keep_clip(kept[0], True)
    folder = ClipFolder(tmp_path, days=7.0, max_bytes=3_100)
    new = folder.name(replace(started(0), started_at=time.time()))
    assert folder.write(new, bytes(900), "{}")
    assert there(ancient, oldest, old, [new]) == [True, True, True, True]
    keep_clip(ancient[0], False)
    ClipFolder(tmp_path, days=7.0, max_bytes=3_100)
    assert there(ancient, oldest) == [False, True]
    delete_clip(oldest[0])
    assert there(oldest) == [False]
    assert not oldest[0].parent.exists(), "nothing is left behind"


def test_other_files_stay_and_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "clips"
    theirs = make(elsewhere, 90.0)
    day = theirs[0].parent.name
    kept = [
        folder / "letter.txt",
        folder / day / "letter.txt",
        folder / day / theirs[0].name.replace(".flac", "-for-ever.flac"),
        folder / "songs" / theirs[0].name,
        folder / theirs[0].name,
    ]
    for file in kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1_000))
    links = [folder / "2001-01-01", folder / day / "120000000-desk-dog-00000001.flac"]
    links[0].symlink_to(theirs[0].parent)
    links[1].symlink_to(theirs[0])
    (folder / day / "120000000-desk-dog-00000002.flac").mkdir()
    ours = make(folder, 90.0, number=3)
    ClipFolder(folder, days=7.0, max_bytes=1)
    assert there(ours, theirs, kept) == [False, True, True]
    assert all(link.is_symlink() for link in links)


def test_a_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "clips").symlink_to(disk)
    told = bark(Ear(clips(tmp_path / "clips")), 5, 8)
    assert len(list(disk.rglob("*.flac"))) == 1
    assert str(told.clip).startswith(str(tmp_path / "clips"))


class Barking:
    """A source that barks from 2 s to the end, as fast as it is read; somebody may switch it off for a while."""

    name, live, repaired_samples = "desk", False, 0
    retry_seconds: float | None = None

    def __init__(self, seconds: int, off: tuple[int, int] = (0, 0), switches: Switches | None = None) -> None:
        self._seconds, self._off, self._switches = seconds, off, switches

    def chunks(self) -> Generator[AudioChunk, None, None]:
        for start in range(0, self._seconds * RATE, 1_600):
            if self._switches is not None:
                self._switches.turn(self.name, not self._off[0] <= start / RATE < self._off[1])
            samples = SOUND[start : start + 1_600] * (1.0 if start >= 2 * RATE else 0.0)
            yield AudioChunk(samples, start, ANCHOR + start / RATE)

    def close(self) -> None:
        pass


class Memory:
    """A sink that remembers the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def accept(self, message: Message) -> None:
        if isinstance(message, Event):
            if message.clip is not None:
                assert Path(message.clip).with_suffix(".json").is_file(), (
                    "the files are there when it is told"
                )
            self.events.append(message)


def dog_by_level(batch: Samples) -> Samples:
    """A dog, where any of a window is loud, and never speech."""
    loud = np.abs(batch).max(-1) > 0.5
    return np.stack([loud, np.zeros_like(loud)], -1).astype(np.float32)


def session(source: Barking, memory: Memory, keeping: Clips, switches: Switches | None = None) -> LiveSession:
    rule = {"threshold": 0.5, "hits": 1, "of": 1, "minimum_off_seconds": 0.0}
    return live_session(
        [source],
        dog_by_level,
        window_samples=WINDOW,
        hop_samples=RATE,
        sinks=[memory],
        sounds=resolve_sounds([Watch("Dog", rule)], LABELS),
        clips=keeping,
        switches=switches,
        fast=True,
    )


def run(live: LiveSession) -> None:
    with ThreadGroup() as threads:
        live.start(threads)
        while threads.is_running("tagger"):
            threads.wait(0.02)


def test_a_sound_cut_off_by_the_end_of_the_stream_has_a_clip(tmp_path: Path) -> None:
    memory = Memory()
    run(session(Barking(12), memory, clips(tmp_path, fast=True)))
    begun, over = memory.events
    assert begun.clip is None
    samples = read(over)
    np.testing.assert_array_equal(samples[2 * RATE :], PCM[2 * RATE : 12 * RATE])
    assert not samples[: 2 * RATE].any()


def test_a_source_without_clips_still_has_events(tmp_path: Path) -> None:
    memory = Memory()
    keeping = clips(tmp_path, fast=True, sources=["another"])
    run(session(Barking(12), memory, keeping))
    assert [(event.kind, event.clip) for event in memory.events] == [("started", None), ("ended", None)]
    assert not list(tmp_path.rglob("*.flac"))


def test_a_clip_has_no_sound_from_while_a_source_was_switched_off(tmp_path: Path) -> None:
    memory, switches = Memory(), Switches()
    keeping = clips(tmp_path, fast=True, never=())
    run(session(Barking(14, (6, 8), switches), memory, keeping, switches))
    heard = np.concatenate([read(event) for event in memory.events if event.kind == "ended"])
    for start, kept in ((5 * RATE, True), (6 * RATE, False), (7 * RATE, False), (9 * RATE, True)):
        assert _contains(heard, PCM[start : start + 1_600]) == kept
    assert not keeping._recorders["desk"].buffer._chunks, "a source that has ended leaves nothing in memory"


def _contains(samples: NDArray[np.int16], part: NDArray[np.int16]) -> bool:
    return samples.tobytes().find(part.tobytes()) >= 0


spans = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8)), max_size=12)


@given(spans, st.integers(0, 60), st.integers(1, 20), st.integers(0, 60))
def test_spans_are_the_samples_that_they_were_made_of(
    steps: list[tuple[int, int]], start: int, length: int, before: int
) -> None:
    found, samples, position = Spans(), set[int](), 0
    for step, size in steps:
        position += step
        found.add(position, position + size)
        samples |= set(range(position, position + size))
    stretch = set(range(start, start + length))
    assert found.cover(start, start + length) == (stretch <= samples)
    assert found.overlap(start, start + length) == bool(stretch & samples)
    found.discard(before)
    if start >= before:
        assert found.cover(start, start + length) == (stretch <= samples)
        assert found.overlap(start, start + length) == bool(stretch & samples)


@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 7]), st.integers(1, 30)), max_size=12),
    st.integers(-20, 120),
    st.integers(-5, 60),
)
def test_an_excerpt_is_what_was_written_with_silence_where_nothing_was(
    pieces: list[tuple[int, int]], start: int, length: int
) -> None:
    buffer, stream, first, position = AudioBuffer(), np.zeros(1_000, np.int16), None, 0
    missing = np.ones(1_000, bool)
    for gap, size in pieces:
        position += gap
        first = position if first is None else first
        buffer.write(AudioChunk(SOUND[position : position + size], position, 0.0))
        stream[position : position + size] = PCM[position : position + size]
        missing[position : position + size] = False
        position += size
    end = start + length
    excerpt = buffer.cut(start, end)
    if first is None or end <= start or missing[max(start, 0) : max(end, 0)].all():
        assert excerpt is None
        return
    assert excerpt is not None
    assert excerpt.start_sample >= max(start, first)
    assert missing[max(start, first) : excerpt.start_sample].all()
    assert excerpt.end_sample == end
    np.testing.assert_array_equal(excerpt.samples, stream[excerpt.start_sample : end])
    silent = np.zeros(len(excerpt.samples), bool)
    for begin, stop in excerpt.gaps:
        silent[begin:stop] = True
    np.testing.assert_array_equal(silent, missing[excerpt.start_sample : end])


def test_sound_above_full_scale_is_clipped_to_it() -> None:
    buffer = AudioBuffer()
    buffer.write(AudioChunk(np.array([1.0, 1.5, -1.0, -1.5], np.float32), 0, 0.0))
    excerpt = buffer.cut(0, 4)
    assert excerpt is not None
    assert excerpt.samples.tolist() == [32_767, 32_767, -32_768, -32_768]


def test_a_start_that_is_taken_back_leaves_no_clip_and_a_confirmed_one_does(tmp_path: Path) -> None:
    ear = Ear(clips(tmp_path))
    ear.listen(6)
    early = replace(started(5 * RATE, ear.source), confirmed=False)
    assert ear.clips.record(early) is early
    confirmed = replace(early, kind="confirmed", confirmed=True)
    assert ear.clips.record(confirmed) is confirmed
    ear.listen(20)
    assert ear.clips.record(replace(ended(early, 8 * RATE), confirmed=False)).clip is None
    assert ear.clips.record(early) is early
    assert ear.clips.record(replace(ended(early, 8 * RATE), confirmed=True)).clip is not None

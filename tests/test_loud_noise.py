"""Loud noise: events by the level alone."""

from dataclasses import replace

import numpy as np
import pytest
from support.fakes import HOP, Memory
from support.noise import in_chunks, noise, tone

from streamer.commands.tag import tag
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch, WatchedSound, resolve_scored_sounds, resolve_sounds
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Samples
from streamer.noise.source import SourceNoise
from streamer.sources.memory import ArraySource


class FakeTagger:
    """Model that hears nothing."""

    name = "nothing"
    labels = ("Speech",)
    thresholds = None
    window_samples = SAMPLE_RATE_HZ

    def __call__(self, samples: Samples) -> Samples:
        return np.zeros((len(samples), 1), np.float32)


def loud(**rule: float | str) -> WatchedSound:
    return resolve_sounds([Watch("Loud noise", rule)], ["Speech"])[0]


def events(
    samples: Samples, *, sizes: int = 1600, offset_db: float | None = None, **rule: float | str
) -> list[Event]:
    meter = SourceNoise("hall", offset_db=offset_db)
    found = [
        message
        for chunk in in_chunks(samples, sizes, began_at=1000.0)
        for message in meter.feed(chunk, [loud(**rule)])
    ]
    return [message for message in [*found, *meter.finish()] if isinstance(message, Event)]


def room(seconds: float, *bangs: tuple[float, float, float]) -> Samples:
    """A quiet room, with noise at times, for some seconds, of a level."""
    samples = noise(seconds, level_dbfs=-70.0)
    for at, length, level in bangs:
        begin = round(at * SAMPLE_RATE_HZ)
        part = noise(length, level_dbfs=level, seed=1)
        samples[begin : begin + len(part)] += part
    return samples


def test_a_bang_above_the_background_starts_and_ends() -> None:
    started, ended = events(room(30.0, (20.0, 1.0, -30.0)))
    assert (started.kind, started.label, started.source) == ("started", "Loud noise", "hall")
    assert started.started_at == pytest.approx(1020.0, abs=0.06)
    assert ended.id == started.id
    assert ended.ended_at == pytest.approx(1021.0, abs=0.06)
    assert ended.end_seconds == pytest.approx(21.0, abs=0.06)
    assert ended.score == 1.0


def test_interruptions_leave_nothing_behind_where_noise_is_not_measured() -> None:
    meter = SourceNoise("hall", measures=False)
    for number in range(5):
        for chunk in in_chunks(room(1.0), 1600, began_at=1000.0):
            meter.feed(
                replace(chunk, start_sample=chunk.start_sample + 90 * number * SAMPLE_RATE_HZ), [loud()]
            )
        meter.finish()
    assert not meter._minutes._open


def test_noise_in_its_quiet_hours_is_not_announced() -> None:
    samples = room(30.0, (20.0, 1.0, -30.0))
    assert [event.announced for event in events(samples, quiet="always")] == [False, False]
    assert [event.announced for event in events(samples, quiet="never")] == [True, True]


def test_the_same_events_at_any_block_size() -> None:
    samples = room(60.0, (15.0, 0.3, -40.0), (16.0, 0.5, -35.0), (30.0, 2.0, -45.0), (45.0, 0.1, -20.0))
    described = [
        [
            (event.kind, event.start_sample, event.end_sample, event.score)
            for event in events(samples, sizes=size)
        ]
        for size in (160, 1600, 100_000)
    ]
    assert len(described[0]) == 6
    assert described[0] == described[1] == described[2]


def test_pauses_shorter_than_the_rule_says_are_part_of_it() -> None:
    samples = room(40.0, (15.0, 0.5, -30.0), (17.0, 0.5, -30.0), (28.0, 0.5, -30.0))
    ends = [event.end_seconds for event in events(samples) if event.kind == "ended"]
    assert ends == pytest.approx([17.5, 28.5], abs=0.06)


def test_a_rustle_below_the_distance_is_none() -> None:
    samples = room(30.0, (20.0, 1.0, -55.0))
    assert not events(samples)
    assert len(events(samples, above_db=10.0)) == 2


def test_a_whisper_after_digital_silence_is_not_loud() -> None:
    samples = np.zeros(30 * SAMPLE_RATE_HZ, np.float32)
    samples[20 * SAMPLE_RATE_HZ : 21 * SAMPLE_RATE_HZ] = noise(1.0, level_dbfs=-65.0)
    assert not events(samples)
    samples[20 * SAMPLE_RATE_HZ : 21 * SAMPLE_RATE_HZ] = noise(1.0, level_dbfs=-45.0)
    assert len(events(samples)) == 2


def test_nothing_is_loud_before_the_background_is_known() -> None:
    assert not events(room(12.0, (5.0, 1.0, -30.0)))


def test_a_level_in_db_a_needs_no_background() -> None:
    samples = room(12.0, (5.0, 1.0, -30.0))
    assert len(events(samples, offset_db=110.0, level_db=70.0)) == 2
    assert not events(samples, offset_db=110.0, level_db=90.0)


def test_a_noise_that_stays_becomes_the_background() -> None:
    samples = np.concatenate([noise(20.0, level_dbfs=-70.0), noise(700.0, level_dbfs=-40.0)])
    started, ended = events(samples, sizes=16_000)
    assert started.start_seconds == pytest.approx(20.0, abs=0.06)
    assert ended.end_seconds is not None
    assert 100.0 < ended.end_seconds < 700.0


def test_a_gap_ends_it_where_the_sound_stopped() -> None:
    meter = SourceNoise("hall")
    before = room(20.0, (18.0, 2.0, -30.0))
    chunks = [*in_chunks(before), *in_chunks(noise(5.0, level_dbfs=-70.0), start_sample=60 * SAMPLE_RATE_HZ)]
    _started, ended = [
        event for chunk in chunks for event in meter.feed(chunk, [loud()]) if isinstance(event, Event)
    ]
    assert ended.end_seconds == pytest.approx(20.0, abs=0.15)


def test_the_end_of_the_stream_ends_it() -> None:
    found = events(room(20.0, (18.0, 2.0, -30.0)))
    assert [event.kind for event in found] == ["started", "ended"]


def test_a_sound_that_is_not_watched_any_more_ends() -> None:
    meter = SourceNoise("hall")
    found = [
        event for chunk in in_chunks(room(20.0, (18.0, 2.0, -30.0))) for event in meter.feed(chunk, [loud()])
    ]
    assert len(found) == 1
    more = meter.feed(AudioChunk(np.zeros(HOP, np.float32), 20 * SAMPLE_RATE_HZ, 0.0), ())
    assert [event.kind for event in more if isinstance(event, Event)] == ["ended"]


def test_the_cooldown_holds() -> None:
    samples = room(50.0, (15.0, 0.5, -30.0), (22.0, 0.5, -30.0), (40.0, 0.5, -30.0))
    starts = [
        event.start_seconds for event in events(samples, cooldown_seconds=20.0) if event.kind == "started"
    ]
    assert starts == pytest.approx([15.0, 40.0], abs=0.06)


def test_recordings_are_searched_for_it_too() -> None:
    found = Memory()
    recording = ArraySource("rec", room(30.0, (20.0, 1.0, -30.0)), SAMPLE_RATE_HZ)
    tag(recording, FakeTagger(), found, [loud()], hop_samples=SAMPLE_RATE_HZ)
    assert [event.start_seconds for event in found.events] == pytest.approx([20.0, 20.0], abs=0.06)


def test_low_hum_is_weighted_down() -> None:
    hum = np.concatenate([tone(50.0, 20.0, level_dbfs=-70.0), tone(50.0, 5.0, level_dbfs=-40.0)])
    samples = hum + noise(25.0, level_dbfs=-60.0)
    assert not events(samples.astype(np.float32))


@pytest.mark.parametrize("key", ["threshold", "hits"])
def test_a_rule_for_scores_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match=f"'Loud noise' has a level, and no {key}: give above_db"):
        loud(**{key: 1})


def test_a_level_is_only_for_loud_noise() -> None:
    with pytest.raises(SettingsError, match="above_db and level_db are for 'Loud noise'"):
        resolve_sounds([Watch("Speech", {"above_db": 10.0})], ["Speech"])


def test_a_list_of_sounds_with_scores_refuses_it() -> None:
    with pytest.raises(
        SettingsError,
        match="'Loud noise' is detected by its level, not by the model: remove it from this list",
    ):
        resolve_scored_sounds([Watch("Speech"), Watch("loud noise")], ["Speech"])


def test_a_minute_is_the_last_one_for_two_minutes() -> None:
    meter, begin = SourceNoise("hall", measures=True), 1_000_000_020.0
    assert meter.newest(0.0) is None
    for second in range(66):
        meter.feed(
            AudioChunk(np.full(SAMPLE_RATE_HZ, 0.1, np.float32), second * SAMPLE_RATE_HZ, 1e9 + second), ()
        )
    assert meter.latest is not None
    assert meter.newest(begin + 100.0) is meter.newest(None) is meter.latest
    assert meter.newest(begin + 200.0) is None

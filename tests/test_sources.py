"""Where sound comes from: conversion, recordings, pipes, and what a specification means."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decoders import assert_bounded, decoders, measured
from support.hostile import FRAME
from support.waiting import PATIENCE_SECONDS

from earshot.recordings import read_recording
from models.errors import SoundError
from streamer.errors import RecordingError, SourceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.sources import DEMO_PATH, Source, open_source
from streamer.sources.conversion import Converter, Frames
from streamer.sources.ffmpeg.pool import end_idle
from streamer.sources.file_headers import kind_of_file
from streamer.sources.pcm import PcmInput, _Pace
from streamer.sources.recording import Recording
from streamer.sources.selection import Selection, parse_selection

ROOT = Path(__file__).parent.parent


def noise(seconds: float, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1, seed: int = 0) -> Frames:
    frames = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate_hz), channels))
    return frames.astype(np.float32)


def tone(seconds: float, rate_hz: int, hz: float = 440.0) -> Frames:
    sine = 0.25 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return sine.astype(np.float32)[:, np.newaxis]


def whole(converter: Converter, frames: Frames) -> Samples:
    return np.concatenate([converter.feed(frames), converter.flush()])


def joined(chunks: list[AudioChunk]) -> Samples:
    """All samples; every chunk begins where the one before ends, in index and in time."""
    assert chunks[0].start_sample == 0
    for before, after in itertools.pairwise(chunks):
        assert after.start_sample == before.start_sample + len(before.samples)
        assert after.captured_at - before.captured_at == pytest.approx(
            len(before.samples) / SAMPLE_RATE_HZ, abs=1e-5
        )
    return np.concatenate([chunk.samples for chunk in chunks])


def assert_close_ends(source: Source, *, after_first_chunk: bool = True) -> None:
    reading = threading.Event()
    chunks = source.chunks()

    def read() -> None:
        if not after_first_chunk:
            reading.set()
        for _ in chunks:
            reading.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(PATIENCE_SECONDS)
    source.close()
    source.close()
    reader.join(10.0)
    assert not reader.is_alive()


# Conversion


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@given(blocks=st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
@settings(max_examples=12, deadline=None)
def test_blocks_of_any_size_convert_like_the_whole(rate_hz: int, blocks: list[int]) -> None:
    frames = noise(0.5, rate_hz, channels=2)
    converter = Converter(rate_hz, 2)
    samples, position = [], 0
    for size in itertools.cycle(blocks):
        samples.append(converter.feed(frames[position : position + size]))
        position += size
        if position >= len(frames):
            break
    samples.append(converter.flush())
    assert np.array_equal(np.concatenate(samples), whole(Converter(rate_hz, 2), frames))


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 32])
def test_single_frames_convert_like_the_whole_for_any_number_of_channels(channels: int) -> None:
    frames = noise(0.02, channels=channels)
    one_by_one = Converter(SAMPLE_RATE_HZ, channels)
    pieces = [one_by_one.feed(frames[i : i + 1]) for i in range(len(frames))]
    assert np.array_equal(np.concatenate(pieces), Converter(SAMPLE_RATE_HZ, channels).feed(frames))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_sound_keeps_its_place_and_its_level(rate_hz: int) -> None:
    samples = whole(Converter(rate_hz, 1), tone(1.0, rate_hz))
    assert len(samples) == SAMPLE_RATE_HZ
    inner = slice(800, -800)  # the filter meets the tone's hard edges outside
    assert samples[inner] == pytest.approx(tone(1.0, SAMPLE_RATE_HZ)[inner, 0], abs=2e-3)


def test_16_khz_mono_passes_bit_by_bit() -> None:
    frames = noise(0.1)
    assert np.array_equal(Converter(SAMPLE_RATE_HZ, 1).feed(frames), frames[:, 0])
    assert len(Converter(SAMPLE_RATE_HZ, 1).flush()) == 0


def test_channels_are_averaged_or_one_is_taken() -> None:
    frames = noise(0.1, channels=3)
    assert Converter(SAMPLE_RATE_HZ, 3).feed(frames) == pytest.approx(frames.mean(axis=1))
    assert np.array_equal(Converter(SAMPLE_RATE_HZ, 3, channel=2).feed(frames), frames[:, 1])
    with pytest.raises(ValueError, match="channel 4 of 3"):
        Converter(SAMPLE_RATE_HZ, 3, channel=4)


def pair(seconds: float, rate_hz: int = SAMPLE_RATE_HZ, *, second: float, unrelated: float = 0.0) -> Frames:
    """Noise on one channel, a multiple of it and some other noise on the second one."""
    first, other = noise(seconds, rate_hz), noise(seconds, rate_hz, seed=1)
    return np.concatenate([first, np.float32(second) * first + np.float32(unrelated) * other], axis=1)


def test_a_channel_that_is_the_other_s_mirror_image_is_turned_over() -> None:
    for second in (-1.0, -0.5):
        frames = pair(1.0, second=second)
        mixed = Converter(SAMPLE_RATE_HZ, 2).feed(frames)
        assert mixed[1_600:] == pytest.approx((frames[1_600:, 0] - frames[1_600:, 1]) / 2), "after 0.1 s"


def test_a_mirror_image_is_faded_in_without_a_click() -> None:
    frames = np.float32(0.5) * tone(0.2, SAMPLE_RATE_HZ)
    mixed = Converter(SAMPLE_RATE_HZ, 2).feed(np.concatenate([frames, -frames], axis=1))
    assert not mixed[:800].any()
    assert np.abs(mixed[1_600:]).max() == pytest.approx(np.abs(frames).max(), rel=0.01)
    assert np.abs(np.diff(mixed)).max() <= np.abs(np.diff(frames[:, 0])).max() + 1e-3


@pytest.mark.parametrize(("second", "unrelated"), [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-0.3, 0.8)])
def test_channels_that_do_not_cancel_out_are_averaged_as_they_are(second: float, unrelated: float) -> None:
    frames = pair(3.0, second=second, unrelated=unrelated)
    mixed = Converter(SAMPLE_RATE_HZ, 2).feed(frames)
    assert np.array_equal(mixed, frames.mean(axis=1, dtype=np.float32))


def test_offsets_of_cheap_converters_turn_nothing_over() -> None:
    frames = np.float32(0.01) * pair(1.0, second=1.0) + np.array([0.05, -0.05], np.float32)
    assert Converter(SAMPLE_RATE_HZ, 2).feed(frames) == pytest.approx(frames.mean(axis=1), abs=1e-6)


def test_a_pair_stays_turned_over_in_silence_and_noise() -> None:
    still = np.float32(1e-3) * pair(5.0, second=0.0, unrelated=1.0)
    spoken = pair(0.5, second=-1.0)
    mixed = Converter(SAMPLE_RATE_HZ, 2).feed(np.concatenate([spoken, still, spoken]))
    assert mixed[-len(spoken) :] == pytest.approx(spoken[:, 0])


def test_one_of_many_channels_is_turned_over_and_the_first_may_be_dead() -> None:
    voice = noise(1.0)
    frames = np.concatenate([0 * voice, voice, -voice, voice], axis=1)
    assert Converter(SAMPLE_RATE_HZ, 4).feed(frames)[1_600:] == pytest.approx(0.75 * voice[1_600:, 0])


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@given(blocks=st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
@settings(max_examples=12, deadline=None)
def test_inverting_a_channel_does_not_depend_on_the_block_size(rate_hz: int, blocks: list[int]) -> None:
    frames = np.concatenate([pair(0.3, rate_hz, second=second) for second in (-1.0, 1.0, -1.0)])
    converter = Converter(rate_hz, 2)
    ends = list(
        itertools.takewhile(lambda end: end < len(frames), itertools.accumulate(itertools.cycle(blocks)))
    )
    pieces = [converter.feed(block) for block in np.split(frames, ends)]
    assert np.array_equal(np.concatenate([*pieces, converter.flush()]), whole(Converter(rate_hz, 2), frames))


def test_after_a_flush_nothing_is_turned_over() -> None:
    frames = pair(0.3, second=-1.0)
    converter = Converter(SAMPLE_RATE_HZ, 2)
    first = whole(converter, frames)
    assert np.array_equal(whole(converter, frames), first)


def test_non_finite_samples_become_silence_and_are_counted() -> None:
    frames = noise(0.1, 48_000, channels=2)
    frames[5, 0], frames[7, 1], frames[9] = np.nan, np.inf, -np.inf
    converter = Converter(48_000, 2)
    samples = whole(converter, frames)
    assert converter.repaired_samples == 4
    silenced = np.where(np.isfinite(frames), frames, np.float32(0))
    assert np.array_equal(samples, whole(Converter(48_000, 2), silenced))
    only_second = Converter(48_000, 2, channel=2)
    only_second.feed(frames)
    assert only_second.repaired_samples == 2


def test_garbage_beyond_full_scale_stays_within_it() -> None:
    frames = np.where(noise(0.1, 48_000, channels=2) > 0, np.float32(3e38), np.float32(-3e38))
    samples = whole(Converter(48_000, 2), frames)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1


def test_after_a_flush_the_converter_is_as_new() -> None:
    frames = noise(0.3, 44_100)
    converter = Converter(44_100, 1)
    first = whole(converter, frames)
    assert np.array_equal(whole(converter, frames), first)


def test_a_flush_of_nothing_is_nothing() -> None:
    assert len(Converter(44_100, 1).flush()) == 0


# Recordings


@pytest.mark.parametrize(
    ("extension", "subtype"),
    [("wav", "PCM_16"), ("flac", "PCM_16"), ("aiff", "PCM_16"), ("ogg", "VORBIS"), ("mp3", None)],
)
def test_common_formats_are_read_without_gaps(tmp_path: Path, extension: str, subtype: str | None) -> None:
    path = tmp_path / f"tone.{extension}"
    soundfile.write(path, np.repeat(tone(1.0, 44_100), 2, axis=1), 44_100, subtype)
    samples = joined(list(Recording("tone", path, live=False).chunks()))
    assert len(samples) == pytest.approx(SAMPLE_RATE_HZ, abs=50)  # FFmpeg drops the last 3 ms of Vorbis
    assert samples[1600:15_000] == pytest.approx(tone(1.0, SAMPLE_RATE_HZ)[1600:15_000, 0], abs=0.02)


def test_opus_is_read_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "tone.opus"
    soundfile.write(path, tone(1.0, 48_000), 48_000, format="OGG", subtype="OPUS")
    samples = joined(list(Recording("tone", path, live=False).chunks()))
    assert samples[1600:-1600] == pytest.approx(tone(1.0, SAMPLE_RATE_HZ)[1600:-1600, 0], abs=0.02)


def encode(
    path: Path, codec: str, frames: Frames, rate_hz: int, options: dict[str, str] | None = None
) -> None:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(frames.T.copy(), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("extension", "codec"),
    [("m4a", "aac"), ("mp4", "aac"), ("aac", "aac"), ("mkv", "aac"), ("webm", "libopus")],
)
def test_ffmpegs_formats_are_read(tmp_path: Path, extension: str, codec: str) -> None:
    path = tmp_path / f"tone.{extension}"
    encode(path, codec, tone(2.0, 48_000), 48_000)
    samples = joined(list(Recording("tone", path, live=False).chunks()))
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=0.1 * SAMPLE_RATE_HZ)
    middle = samples[8_000:24_000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 440
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)


def test_a_recording_streams_as_the_whole_of_it_converts(tmp_path: Path) -> None:
    frames = noise(1.23, 48_000, channels=2)
    soundfile.write(tmp_path / "noise.wav", frames, 48_000, subtype="FLOAT")
    chunks = list(Recording("noise", tmp_path / "noise.wav", live=False).chunks())
    assert np.array_equal(joined(chunks), whole(Converter(48_000, 2), frames))
    assert {len(chunk.samples) for chunk in chunks[:-1]} == {1600}


def test_a_loop_has_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(0.55, 44_100), 44_100, subtype="FLOAT")
    once = joined(list(Recording("once", path, live=False).chunks()))
    looped = Recording("looped", path, live=False, loop=True).chunks()
    thrice = joined(list(itertools.islice(looped, 20)))
    looped.close()
    assert np.array_equal(thrice, np.resize(once, len(thrice)))


def test_a_live_recording_takes_its_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", noise(1.0), SAMPLE_RATE_HZ)
    began_at = time.time()
    lags = [
        time.time() - (chunk.captured_at + len(chunk.samples) / SAMPLE_RATE_HZ)
        for chunk in Recording("noise", tmp_path / "noise.wav", live=True).chunks()
    ]
    assert time.time() - began_at > 0.95
    assert -0.02 < min(lags) < 0.2, "no chunk comes before its last sample is captured"


def test_a_recording_at_any_speed_is_the_same(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", noise(0.4, 8_000), 8_000)
    live, fast = (
        joined(list(Recording("", tmp_path / "noise.wav", live=live).chunks())) for live in (True, False)
    )
    assert np.array_equal(live, fast)


def test_closing_ends_a_live_recording_at_once(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", noise(30.0), SAMPLE_RATE_HZ)
    assert_close_ends(Recording("noise", tmp_path / "noise.wav", live=True))
    assert_close_ends(Recording("noise", tmp_path / "noise.wav", live=False, loop=True))


def test_non_finite_samples_of_a_recording_are_counted(tmp_path: Path) -> None:
    frames = noise(0.5)
    frames[::100] = np.nan
    soundfile.write(tmp_path / "broken.wav", frames, SAMPLE_RATE_HZ, subtype="FLOAT")
    recording = Recording("broken", tmp_path / "broken.wav", live=False)
    samples = joined(list(recording.chunks()))
    assert recording.repaired_samples == 80
    assert np.isfinite(samples).all()


def test_ten_minutes_take_no_more_memory_than_seconds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(600 * 8_000, np.int16), 8_000)
    recording = Recording("long", tmp_path / "long.wav", live=False)
    recording.check()
    tracemalloc.start()
    try:
        total = sum(len(chunk.samples) for chunk in recording.chunks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 600 * SAMPLE_RATE_HZ
    assert peak < 2_000_000


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        list(Recording("", path, live=False).chunks())
    with pytest.raises(RecordingError, match=re.escape(str(caught.value))):
        Recording("", path, live=False).check()
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "missing.wav")


def test_a_folder_is_refused_as_a_recording(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no names for open files")
def test_an_open_file_is_read_by_its_number_as_of_this_process(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "open.wav", noise(1.0), SAMPLE_RATE_HZ)
    with (tmp_path / "open.wav").open("rb") as file:
        chunks = list(Recording("", f"/dev/fd/{file.fileno()}", live=False).chunks())
    assert sum(len(chunk.samples) for chunk in chunks) == SAMPLE_RATE_HZ


def test_a_file_without_read_permission_is_reported(tmp_path: Path) -> None:
    forbidden = tmp_path / "secret.wav"
    soundfile.write(forbidden, noise(0.1), SAMPLE_RATE_HZ)
    forbidden.chmod(0)
    if os.geteuid() == 0:  # who may read every file, but not this one's beginning
        forbidden = Path("/proc/self/mem")
    assert "check its permissions" in refusal(forbidden)


@pytest.mark.parametrize("name", ["noise.bin", "noise.wav", "noise.raw", "noise.mp4"])
def test_a_file_that_is_not_a_recording_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(1).bytes(5_000))
    assert re.search(r"is not a readable recording|has no audio track", refusal(tmp_path / name))


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert "has no audio in it" in refusal(tmp_path / "empty.wav")


def test_a_recording_without_samples_is_reported_even_in_a_loop(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "header.wav", np.zeros((0, 1)), SAMPLE_RATE_HZ)
    assert "has no audio in it" in refusal(tmp_path / "header.wav")
    with pytest.raises(RecordingError, match="has no audio in it"):
        list(Recording("", tmp_path / "header.wav", live=False, loop=True).chunks())


def test_a_film_without_sound_is_reported(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            container.mux(packet)
    assert "has no audio track" in refusal(tmp_path / "silent.mp4")


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_film_whose_pictures_last_longer_than_its_sound_is_intact(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"film.{extension}"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        sound = container.add_stream("aac", rate=48_000)
        assert isinstance(pictures, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(noise(3.0, 48_000).T.copy(), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            container.mux(packet)
        for _ in range(100):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for packet in pictures.encode(picture):
                container.mux(packet)
        for packet in pictures.encode(None):
            container.mux(packet)
    recording = Recording("film", path, live=False)
    assert len(joined(list(recording.chunks()))) == pytest.approx(3 * SAMPLE_RATE_HZ, abs=2000)
    assert recording.faults == ()


@pytest.mark.parametrize("extension", ["flac", "aac", "mp4"])
def test_a_file_that_is_cut_off_delivers_what_there_is_with_a_log_line(
    tmp_path: Path, extension: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"torn.{extension}"
    frames = noise(3.0, 48_000)
    if extension == "flac":
        soundfile.write(path, frames, 48_000)
    else:
        encode(path, "aac", frames, 48_000, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    total = len(joined(list(Recording("torn", path, live=False).chunks())))
    assert 1.0 < total / SAMPLE_RATE_HZ < 2.0
    expected = (
        "damaged packets are left out (1, "
        if extension == "aac"
        else f"cut off at second {total / 16_000:.1f} of 3.0"
    )
    assert f"{path}: {expected}" in caplog.text


def test_a_truncated_wav_delivers_its_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "torn.wav"
    soundfile.write(path, noise(3.0), SAMPLE_RATE_HZ)
    path.write_bytes(path.read_bytes()[:16_044])
    assert len(joined(list(Recording("torn", path, live=False).chunks()))) == 8_000
    assert "cut off at second 0.5 of 3.0" in caplog.text


def with_sizes(path: Path, riff: int, data: int, behind: bytes = b"") -> Path:
    """A second of noise in a WAV file whose header gives these sizes."""
    soundfile.write(path, noise(1.0), SAMPLE_RATE_HZ)
    content = path.read_bytes()
    sizes = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    path.write_bytes(content[:4] + sizes[0] + content[8:40] + sizes[1] + content[44:] + behind)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0, 0),
        (2**32 - 1, 2**32 - 1),
        (36 + 8_000, 8_000),
        (36, 32_000),
        (36 + 64_000, 64_000),
        (0x7FFF_F024, 0x7FFF_F000),
    ],
    ids=["never filled in", "unknown", "not updated", "only of the RIFF", "too large", "placeholder"],
)
def test_a_wav_with_wrong_sizes_is_read_to_its_end(tmp_path: Path, riff: int, data: int) -> None:
    path = with_sizes(tmp_path / "killed.wav", riff, data)
    soundfile.write(tmp_path / "whole.wav", noise(1.0), SAMPLE_RATE_HZ)
    whole = joined(list(Recording("whole", tmp_path / "whole.wav", live=False).chunks()))
    assert np.array_equal(joined(list(Recording("killed", path, live=False).chunks())), whole)


@pytest.mark.parametrize(
    "behind", [b"LIST\x06\x00\x00\x00INFO\x00\x00", bytes(5_000)], ids=["a chunk", "zeros"]
)
def test_what_follows_the_samples_of_a_wav_is_no_sound(tmp_path: Path, behind: bytes) -> None:
    path = with_sizes(tmp_path / "tagged.wav", 36 + 32_000 + len(behind), 32_000, behind)
    assert len(joined(list(Recording("tagged", path, live=False).chunks()))) == SAMPLE_RATE_HZ


def test_a_pause_at_the_end_that_a_dead_recorder_gave_is_no_padding(tmp_path: Path) -> None:
    behind = bytes(8_000) + noise_bytes(1.0)
    path = with_sizes(tmp_path / "killed.wav", 36 + 32_000, 32_000, behind)
    assert len(joined(list(Recording("killed", path, live=False).chunks()))) == 16_000 + len(behind) // 2


def noise_bytes(seconds: float) -> bytes:
    return (noise(seconds) * 32_767).astype("<i2").tobytes()


def test_an_rf64_file_whose_recorder_died_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "killed.wav"
    soundfile.write(path, noise(1.0), SAMPLE_RATE_HZ, format="RF64")
    content = bytearray(path.read_bytes())
    sizes = content.index(b"ds64") + 8
    content[sizes : sizes + 24] = bytes(24)
    path.write_bytes(content)
    assert len(joined(list(Recording("killed", path, live=False).chunks()))) == SAMPLE_RATE_HZ


def mp3(folder: Path, frames: Frames, rate_hz: int) -> bytes:
    path = folder / "part.mp3"
    soundfile.write(path, frames, rate_hz)
    return path.read_bytes()


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 1), (22_050, 2), (22_050, 1)])
def test_a_file_whose_format_changes_keeps_its_speed(tmp_path: Path, rate_hz: int, channels: int) -> None:
    stereo = np.repeat(tone(2.0, 44_100), 2, axis=1)
    path = tmp_path / "joined.mp3"
    path.write_bytes(
        mp3(tmp_path, stereo, 44_100)
        + mp3(tmp_path, np.repeat(tone(2.0, rate_hz), channels, axis=1), rate_hz)
    )
    samples = joined(list(Recording("joined", path, live=False).chunks()))
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(4.0, abs=0.2)
    for second in (samples[8_000:24_000], samples[40_000:56_000]):
        assert np.argmax(np.abs(np.fft.rfft(second))) == 440
        assert np.sqrt(np.mean(second**2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)


def test_a_channel_stays_chosen_where_there_are_several(tmp_path: Path) -> None:
    first, second = tone(2.0, 44_100, 440.0), tone(2.0, 44_100, 880.0)
    path = tmp_path / "joined.mp3"
    path.write_bytes(
        mp3(tmp_path, np.concatenate([first, second], axis=1), 44_100) + mp3(tmp_path, first, 44_100)
    )
    samples = joined(list(Recording("", path, live=False, selection=Selection(channel=2)).chunks()))
    assert np.argmax(np.abs(np.fft.rfft(samples[8_000:24_000]))) == 880
    assert np.argmax(np.abs(np.fft.rfft(samples[40_000:56_000]))) == 440


def test_damage_inside_is_left_out_with_one_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(mp3(tmp_path, noise(4.0, 44_100), 44_100))
    middle = len(content) // 2
    content[middle : middle + 3_000] = np.random.default_rng(3).bytes(3_000)
    path = tmp_path / "corrupt.mp3"
    path.write_bytes(content)
    for _ in range(2):
        assert (
            sum(len(chunk.samples) for chunk in Recording("", path, live=False).chunks())
            > 3.5 * SAMPLE_RATE_HZ
        )
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        f"{path}: damaged packets are left out"
    ]
    assert re.search(r"the first at second [12]\.\d\)", caplog.text)


def test_zeros_behind_an_mp3_are_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "padded.mp3"
    path.write_bytes(mp3(tmp_path, noise(2.0, 44_100), 44_100) + bytes(2_000))
    assert len(read_recording(path)) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=800)
    assert not caplog.records


def test_a_file_in_which_nothing_can_be_decoded_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "noise.m4a"
    encode(path, "aac", noise(1.0, 48_000), 48_000)
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin : content.index(b"moov") - 4] = b"\xff" * (content.index(b"moov") - 4 - begin)
    path.write_bytes(content)
    assert "has no audio that can be decoded" in refusal(path)


def with_times(path: Path, positions: Sequence[tuple[float, float]]) -> None:
    """Write a Matroska file: from each position (in seconds), so many seconds of noise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono")
        for begin, seconds in positions:
            for start in range(0, round(seconds * SAMPLE_RATE_HZ), 1_600):
                frame = av.AudioFrame.from_ndarray(
                    (noise(0.1, seed=start).T * 32_767).astype(np.int16), format="s16", layout="mono"
                )
                frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
                frame.pts = round(begin * SAMPLE_RATE_HZ) + start
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def stretches(chunks: list[AudioChunk]) -> list[tuple[float, float]]:
    """Beginnings and ends of uninterrupted sound, in seconds."""
    found: list[tuple[float, float]] = []
    for chunk in chunks:
        begin, end = (
            sample / SAMPLE_RATE_HZ
            for sample in (chunk.start_sample, chunk.start_sample + len(chunk.samples))
        )
        assert chunk.captured_at - chunks[0].captured_at == pytest.approx(
            begin - chunks[0].start_sample / SAMPLE_RATE_HZ, abs=1e-4
        )
        if found and found[-1][1] == begin:
            begin, _ = found.pop()
        found.append((begin, end))
    return found


def test_times_of_a_file_are_gaps(tmp_path: Path) -> None:
    with_times(tmp_path / "late.mkv", [(5.0, 2.0), (17.0, 1.0)])
    chunks = list(Recording("late", tmp_path / "late.mkv", live=False).chunks())
    assert stretches(chunks) == [(5.0, 7.0), (17.0, 18.0)]
    samples = read_recording(tmp_path / "late.mkv")
    assert len(samples) == 18 * SAMPLE_RATE_HZ
    assert not samples[: 5 * SAMPLE_RATE_HZ].any()
    assert np.array_equal(
        samples[17 * SAMPLE_RATE_HZ :],
        np.concatenate([c.samples for c in chunks if c.start_sample >= 17 * SAMPLE_RATE_HZ]),
    )


def test_times_that_jump_by_hours_are_wrong(tmp_path: Path) -> None:
    with_times(tmp_path / "hours.mkv", [(0.0, 1.0), (90_000.0, 1.0)])
    assert stretches(list(Recording("", tmp_path / "hours.mkv", live=False).chunks())) == [(0.0, 2.0)]


def test_times_that_begin_again_are_no_gaps(tmp_path: Path) -> None:
    parts = []
    for part in ("a", "b"):
        soundfile.write(tmp_path / f"{part}.ogg", noise(2.0, 48_000), 48_000, format="OGG", subtype="OPUS")
        parts.append((tmp_path / f"{part}.ogg").read_bytes())
    (tmp_path / "chained.ogg").write_bytes(b"".join(parts))
    ((begin, end),) = stretches(list(Recording("", tmp_path / "chained.ogg", live=False).chunks()))
    assert begin == 0.0
    assert end == pytest.approx(4.0, abs=0.1)


def test_a_live_recording_waits_in_its_gaps(tmp_path: Path) -> None:
    with_times(tmp_path / "late.mkv", [(0.5, 0.2)])
    began = time.time()
    first = next(Recording("late", tmp_path / "late.mkv", live=True).chunks())
    assert time.time() - began > 0.5
    assert first.captured_at <= time.time()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "list.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
            "playlist; give the recordings or the address in it",
        ),
        ("list.txt", "ffconcat version 1.0\nfile tone.wav\n", "is a playlist; give"),
        (
            "list.mpd",
            '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>\n',
            "is a DASH playlist; give",
        ),
        (
            "call.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
            "is not a readable recording",
        ),
        ("page.wav", "<!DOCTYPE html><title>404</title>", "is a web page, not a recording"),
    ],
)
def test_a_file_that_opens_others_is_refused(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(0.5, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    (tmp_path / name).write_text(content)
    assert sentence in refusal(tmp_path / name)


@pytest.mark.parametrize("rate_hz", [8_000, 384_000])
def test_rates_of_telephones_and_of_ultrasound_are_read(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(0.5, rate_hz), rate_hz)
    assert len(read_recording(tmp_path / "tone.wav")) == SAMPLE_RATE_HZ / 2


def test_absurd_rates_and_channels_are_refused(tmp_path: Path) -> None:
    for rate_hz, channels in ((1, 1), (999, 1), (4_000_000, 1), (16_000, 65)):
        path = tmp_path / f"{rate_hz}.wav"
        soundfile.write(path, np.zeros((4_000, channels)), rate_hz)
        expected = (
            "has 65 channels; extract" if channels > 1 else f"has a sample rate of {rate_hz:g} Hz; convert it"
        )
        assert expected in refusal(path)


def test_many_channels_are_read(tmp_path: Path) -> None:
    frames = noise(0.2, channels=12)
    soundfile.write(tmp_path / "array.wav", frames, SAMPLE_RATE_HZ, subtype="FLOAT")
    recording = Recording("", tmp_path / "array.wav", live=False, selection=Selection(channel=12))
    assert np.array_equal(joined(list(recording.chunks())), frames[:, 11])


def test_floats_far_beyond_full_scale_are_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "integers.wav"
    soundfile.write(path, 32_768 * tone(1.0, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, subtype="FLOAT")
    source = open_source(str(path), fast=True)
    assert np.abs(joined(list(source.chunks()))).max() == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: samples reach 8192.0 times full scale and are clipped; scale them to -1..1"
    ]


def test_a_channel_of_a_file_is_chosen_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "door.wav"
    frames = noise(0.3, channels=2)
    soundfile.write(path, frames, SAMPLE_RATE_HZ, subtype="FLOAT")
    for address, name, channel in ((f"{path}#2", "door 2", 1), (f"bell={path}#channel=1", "bell", 0)):
        source = open_source(address, fast=True)
        assert source.name == name
        assert np.array_equal(joined(list(source.chunks())), frames[:, channel])
    monkeypatch.chdir(tmp_path)
    assert open_source("door.wav#track=1").name == "door"
    assert open_source("door.wav#track=1,channel=2").name == "door 2"
    assert open_source("room #1=door.wav#channel=2").name == "room #1"
    for address, sentence in (
        (f"{path}#3", "has no channel #3; choose one from #1 to #2"),
        (f"{path}#track=2", "has no audio track 2; leave #track out"),
        (f"{path}#left", "must be followed by the number of a channel, such as #2"),
    ):
        with pytest.raises(RecordingError, match=sentence):
            open_source(address)


def test_a_file_with_a_number_sign_in_its_name_is_found(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "door.wav", noise(0.2), SAMPLE_RATE_HZ)
    soundfile.write(tmp_path / "door.wav#2", noise(0.1), SAMPLE_RATE_HZ, format="WAV")
    assert open_source(str(tmp_path / "door.wav#2")).name == "door"
    assert len(read_recording(tmp_path / "door.wav#2")) == 1_600
    assert len(read_recording(tmp_path / "door.wav#1")) == 3_200


# Standard input


def test_a_pipe_is_read_to_its_end_without_its_odd_byte() -> None:
    sound = np.random.default_rng(2).integers(-32_768, 32_767, 40_000, dtype="<i2")
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            for piece in np.array_split(np.frombuffer(sound.tobytes() + b"\x7f", np.uint8), 37):
                pipe.write(piece.tobytes())
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        began_at = time.time()
        chunks = list(PcmInput("pipe", pipe, live=False).chunks())
        writer.join(5)
    assert np.array_equal(joined(chunks), sound / np.float32(32_768))
    assert began_at - 1.0 < chunks[0].captured_at < time.time()


def sent(content: bytes) -> int:
    """Let another thread write into a pipe as fast as it takes bytes; return the descriptor of the other end."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(content)

    threading.Thread(target=write, daemon=True).start()
    return reading


def test_a_pipe_that_is_faster_than_time_has_to_wait() -> None:
    seconds = 4.0
    with os.fdopen(sent(bytes(round(seconds * 32_000))), "rb") as pipe:
        began = time.monotonic()
        position = 0
        for chunk in PcmInput("pipe", pipe).chunks():
            assert chunk.start_sample == position
            position += len(chunk.samples)
            assert chunk.captured_at + len(chunk.samples) / SAMPLE_RATE_HZ < time.time() + 0.01
        assert time.monotonic() - began > seconds - 2.2, "all but a burst takes its time"
    assert position == seconds * SAMPLE_RATE_HZ


def test_closing_ends_a_pipe_that_has_to_wait() -> None:
    with os.fdopen(sent(bytes(100 * 32_000)), "rb") as pipe:
        assert_close_ends(PcmInput("pipe", pipe))


class Sender:
    """Simulated sender of tenths of a second: clock error as a factor, and time that has passed."""

    def __init__(self, pace: _Pace, speed: float) -> None:
        self.pace, self.speed = pace, speed
        self.end_sample = 0
        self.now = 0.0
        self.waited = 0.0

    def send(self, seconds: float) -> None:
        """Send for so long."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.1 / self.speed
            self.end_sample += 1_600
            assert not self.pace.stalled_samples(self.end_sample, self.now)
            wait = self.pace.wait_seconds(0.1, self.end_sample, self.now)
            self.now += wait
            self.waited += wait
            assert self.late > -1e-9, "no time is later than now"

    @property
    def late(self) -> float:
        return self.now - self.pace.zero - self.end_sample / SAMPLE_RATE_HZ


@pytest.mark.parametrize("speed", [1.0, 1.0005, 0.9995])
def test_the_clock_of_a_sender_is_followed(speed: float) -> None:
    sender = Sender(_Pace(0.0), speed)
    sender.send(12 * 3600)
    assert sender.waited == 0
    assert sender.late < 0.1


def test_a_sender_that_is_much_too_fast_is_slowed_down() -> None:
    sender = Sender(_Pace(0.0), 1.5)
    sender.send(3600)
    assert sender.end_sample / SAMPLE_RATE_HZ == pytest.approx(3600, rel=0.002)


def test_what_was_late_after_a_stall_arrives_without_a_delay() -> None:
    pace = _Pace(0.0)
    position = 1_600
    assert pace.wait_seconds(0.1, position, 0.1) == 0
    lost = pace.stalled_samples(position + 1_600, 10.2)
    assert lost == pytest.approx(10 * SAMPLE_RATE_HZ, abs=1)
    position += lost
    for _ in range(100):
        position += 1_600
        assert pace.wait_seconds(0.1, position, 10.3) == 0
    assert pace.zero + position / SAMPLE_RATE_HZ == pytest.approx(10.3)


def test_a_burst_at_the_beginning_is_older_sound() -> None:
    pace = _Pace(0.0)
    for tenth in range(1, 20):
        assert pace.wait_seconds(0.1, tenth * 1_600, 0.1) == 0
    assert pace.zero == pytest.approx(0.1 - 1.9)


def test_a_clock_that_is_set_moves_the_times_of_a_pipe_and_of_a_live_recording_but_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "noise.wav", noise(0.4), SAMPLE_RATE_HZ)
    reader, writer = os.pipe()
    os.write(writer, bytes(3 * 3_200))
    os.close(writer)
    right = time.time
    with os.fdopen(reader, "rb") as pipe:
        for source in (PcmInput("pipe", pipe), Recording("file", tmp_path / "noise.wav", live=True)):
            monkeypatch.setattr(time, "time", right)
            chunks = source.chunks()
            first = next(chunks)
            monkeypatch.setattr(time, "time", lambda: right() + 3_600)
            second = next(chunks)
            source.close()
            assert second.start_sample == len(first.samples)
            assert second.captured_at - first.captured_at == pytest.approx(3_600, abs=1)


def test_a_pipe_that_falls_silent_fails_and_continues_with_the_next_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.sources.pcm._SILENT_SECONDS", 1.5)
    reading, writing = os.pipe()
    sound = np.arange(3_200, dtype="<i2").tobytes()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", 0) as sender:
        source = PcmInput("pipe", pipe)
        assert source.retry_seconds is None
        sender.write(sound[:-1])
        heard: list[AudioChunk] = []
        with pytest.raises(SourceError, match="pipe has delivered nothing for 1.5 s; check the program"):
            heard.extend(source.chunks())
        assert source.retry_seconds is not None
        sender.write(sound[-1:] + sound)
        sender.close()
        heard.extend(source.chunks())
    samples = np.concatenate([chunk.samples for chunk in heard])
    assert np.array_equal(samples * 32_768, np.tile(np.arange(3_200), 2))
    assert source.retry_seconds is None
    gap = heard[-1].start_sample + len(heard[-1].samples) - len(samples)
    assert gap / SAMPLE_RATE_HZ == pytest.approx(1.5, abs=0.5)


@pytest.mark.parametrize("sent", [0, 1_001])
def test_a_pipe_that_is_silent_from_the_beginning_fails_and_continues(
    monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    monkeypatch.setattr("streamer.sources.pcm._SILENT_SECONDS", 0.3)
    reading, writing = os.pipe()
    sound = np.arange(3_200, dtype="<i2")
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", 0) as sender:
        source = PcmInput("pipe", pipe)
        sender.write(sound.tobytes()[:sent])
        for _ in range(2):
            with pytest.raises(SourceError, match="pipe has delivered nothing for 0.3 s; check the program"):
                next(source.chunks())
        sender.write(sound.tobytes()[sent:])
        sender.close()
        samples = np.concatenate([chunk.samples for chunk in source.chunks()])
    assert np.array_equal(samples * 32_768, sound)


def test_a_recording_that_is_shorter_than_a_sample_is_refused_in_one_sentence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(1, np.float32), 48_000)
    with pytest.raises(SoundError, match=r"short\.wav is too short to contain sound"):
        read_recording(tmp_path / "short.wav")


def test_closing_ends_a_pipe_from_which_nothing_comes() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        assert_close_ends(PcmInput("pipe", pipe), after_first_chunk=False)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (b"", "ended without any audio"),
        (b"\x01", "ended without"),
        (b"RIFF\x24\x00\x00\x00WAVE", "is a WAV file"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "is a WAV file"),
        (b"#EXTM3U\nhttp://127.0.0.1/", "is a playlist"),
    ],
)
def test_a_pipe_without_samples_is_reported(written: bytes, sentence: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(SourceError, match=sentence):
        list(PcmInput("stdin", pipe).chunks())


@pytest.mark.parametrize(
    ("extension", "kind"),
    [
        ("flac", "a FLAC file"),
        ("ogg", "an Ogg file"),
        ("mp3", "an MP3 file"),
        ("aiff", "an AIFF file"),
        ("m4a", "an MP4 file"),
        ("aac", "an AAC file"),
        ("ts", "an MPEG file"),
        ("mkv", "a Matroska file"),
    ],
)
def test_a_file_is_not_taken_for_samples(tmp_path: Path, extension: str, kind: str) -> None:
    path = tmp_path / f"tone.{extension}"
    if extension in {"m4a", "aac", "ts", "mkv"}:
        encode(path, "aac", tone(1.0, 48_000), 48_000)
    else:
        soundfile.write(path, tone(1.0, 48_000), 48_000)
    with (
        os.fdopen(sent(path.read_bytes()), "rb") as pipe,
        pytest.raises(SourceError, match=f"stdin is {kind}, not raw samples; .*ffmpeg -i FILE -f s16le"),
    ):
        list(PcmInput("stdin", pipe).chunks())


@given(st.integers(-32_768, 32_767), st.floats(0, 3e4))
@settings(max_examples=300, deadline=None)
def test_samples_are_not_taken_for_a_file(offset: int, amplitude: float) -> None:
    samples = np.random.default_rng(0).normal(offset, amplitude, 1_600).clip(-32_768, 32_767).astype("<i2")
    assert kind_of_file(samples.tobytes()) is None


def test_a_terminal_is_refused_as_standard_input() -> None:
    controller, terminal = os.openpty()
    try:
        with pytest.raises(SourceError, match="stdin is a terminal"):
            PcmInput("stdin", terminal).check()
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize("redirected", [True, False], ids=["file", "pipe"])
def test_the_dash_reads_standard_input(tmp_path: Path, *, redirected: bool) -> None:
    (tmp_path / "sound.pcm").write_bytes(bytes(64_000))
    program = (
        "from streamer.sources import open_source; source = open_source('-', fast=True); "
        "print(source.name, source.live, sum(len(chunk.samples) for chunk in source.chunks()))"
    )
    command = [sys.executable, "-c", program]
    with (tmp_path / "sound.pcm").open("rb") as sound:
        done = (
            subprocess.run(command, cwd=ROOT, stdin=sound, capture_output=True, timeout=60, check=True)
            if redirected
            else subprocess.run(
                command, cwd=ROOT, input=sound.read(), capture_output=True, timeout=60, check=True
            )
        )
    assert done.stdout.split() == [b"stdin", b"False", b"32000"]


# Specifications


def test_a_file_is_called_by_its_stem_or_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a dog.wav"
    soundfile.write(path, noise(0.1), SAMPLE_RATE_HZ)
    assert open_source(str(path)).name == "a dog"
    assert open_source(f"yard={path}").name == "yard"
    assert open_source(str(path)).live
    assert not open_source(str(path), fast=True).live


def test_a_file_with_an_equals_sign_in_its_name_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("a=b.wav", noise(0.1), SAMPLE_RATE_HZ)
    assert open_source("a=b.wav").name == "a=b"
    assert open_source("x=a=b.wav").name == "x"
    assert open_source("a=b.wav#1").name == "a=b 1"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("", "is not a source"),
        ("name=", "is not a source"),
        ("=demo", "has no name"),
        ("mic:", "names no microphone"),
        ("missing.wav", "there is no file missing.wav"),
    ],
)
def test_a_bad_address_is_refused_in_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence) as caught:
        open_source(spec)
    assert "\n" not in str(caught.value)


def test_importing_sources_imports_no_library_of_theirs() -> None:
    program = (
        "import sys, streamer.sources, streamer.sources.microphone; "
        "print({'av', 'sounddevice', 'soundfile'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.strip() == b"set()"


# The demo


def test_the_demo_is_small_and_sounds_where_its_cue_sheet_says() -> None:
    assert DEMO_PATH.stat().st_size <= 500_000
    cues = json.loads(DEMO_PATH.with_suffix(".json").read_text())
    samples = joined(list(open_source("demo", fast=True).chunks()))
    assert np.abs(samples).max() < 1
    assert cues[0]["label"] == "Speech"
    assert cues[0]["start_seconds"] == 0
    assert len(samples) / SAMPLE_RATE_HZ > cues[-1]["end_seconds"]
    quiet_from = 0
    for cue in cues:
        start, end = (round(cue[key] * SAMPLE_RATE_HZ) for key in ("start_seconds", "end_seconds"))
        assert 20 * np.log10(np.sqrt(np.mean(samples[start:end] ** 2))) == pytest.approx(-20, abs=1)
        assert quiet_from == start == 0 or np.abs(samples[quiet_from + 160 : start - 160]).max() < 0.01
        quiet_from = end


def test_the_demo_loops_when_live_and_ends_when_fast() -> None:
    live = open_source("demo")
    assert live.name == "demo"
    assert live.live
    assert_close_ends(live)
    fast = open_source("kiosk=demo", fast=True)
    assert fast.name == "kiosk"
    assert sum(len(chunk.samples) for chunk in fast.chunks()) == 69 * SAMPLE_RATE_HZ


# Tracks and channels


@pytest.mark.parametrize(
    ("fragment", "selection"),
    [
        ("", Selection()),
        ("2", Selection(channel=2)),
        ("channel=2", Selection(channel=2)),
        ("track=2", Selection(track=2)),
        ("track=2,channel=1", Selection(track=2, channel=1)),
        ("channel=1, track=2", Selection(track=2, channel=1)),
        ("0", None),
        ("02", None),
        ("t=10", None),
        ("2,3", None),
        ("track=2,track=3", None),
        ("track=", None),
        ("99999", None),
        ("²", None),
    ],
)
def test_a_number_selects_a_channel_and_a_word_a_track(fragment: str, selection: Selection | None) -> None:
    assert parse_selection(fragment) == selection


# Hostile recordings


@pytest.mark.parametrize("name", ["zeros.mp3", "playlist.m3u8", "itself.ffconcat", "tag.mp3"])
def test_a_hostile_recording_costs_bounded_memory_and_descriptors(name: str, tmp_path: Path) -> None:
    contents = {
        "playlist.m3u8": b"#EXTM3U\n" + b"#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n" * 100_000,
        "itself.ffconcat": b"ffconcat version 1.0\nfile itself.ffconcat\n",
        "tag.mp3": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + FRAME * 500,
    }
    path = tmp_path / name
    path.write_bytes(contents.get(name, b""))
    if name == "zeros.mp3":
        os.truncate(path, 2**30)
    with (
        measured() as most,
        pytest.raises(
            RecordingError, match="can't be read|not a readable|memory limit|playlist|has no audio"
        ),
    ):
        list(Recording("s", path, live=False).chunks())
    assert_bounded(most)


def test_the_process_for_recordings_is_used_again_and_survives_a_bad_one(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", noise(0.5), SAMPLE_RATE_HZ)
    (tmp_path / "bad.mp3").write_bytes(b"no recording")
    end_idle()
    seen = set()
    for _ in range(3):
        Recording("s", tmp_path / "good.wav", live=False).check()
        assert len(joined(list(Recording("s", tmp_path / "good.wav", live=False).chunks()))) == 8_000
        with pytest.raises(RecordingError, match="not a readable recording"):
            Recording("s", tmp_path / "bad.mp3", live=False).check()
        seen |= set(decoders(psutil.Process()))
    assert len(seen) == 1


def test_a_recording_whose_process_is_killed_fails_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", noise(60.0), SAMPLE_RATE_HZ)
    chunks = Recording("s", tmp_path / "long.wav", live=False).chunks()
    next(chunks)
    for process in decoders(psutil.Process()):
        process.kill()
    with pytest.raises(RecordingError, match=r"crashes FFmpeg \(SIGKILL\)"):
        list(chunks)
    assert list(Recording("s", DEMO_PATH, live=False).chunks())

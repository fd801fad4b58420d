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
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import PATIENCE_SECONDS

from streamer.errors import RecordingError, SourceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.sources import DEMO_PATH, Source, open_source
from streamer.sources.conversion import Converter, Frames
from streamer.sources.pcm import PcmInput
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
    assert len(samples) == SAMPLE_RATE_HZ
    assert samples[1600:-1600] == pytest.approx(tone(1.0, SAMPLE_RATE_HZ)[1600:-1600, 0], abs=0.02)


def test_opus_is_read_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "tone.opus"
    soundfile.write(path, tone(1.0, 48_000), 48_000, format="OGG", subtype="OPUS")
    samples = joined(list(Recording("tone", path, live=False).chunks()))
    assert samples[1600:-1600] == pytest.approx(tone(1.0, SAMPLE_RATE_HZ)[1600:-1600, 0], abs=0.02)


def encode(path: Path, codec: str, frames: Frames, rate_hz: int) -> None:
    with av.open(str(path), "w") as container:
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


@pytest.mark.parametrize("extension", ["flac", "aac"])
def test_a_broken_file_delivers_the_sound_before_the_defect_and_reports_its_position(
    tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"torn.{extension}"
    frames = noise(3.0, 48_000)
    if extension == "flac":
        soundfile.write(path, frames, 48_000)
    else:
        encode(path, "aac", frames, 48_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    delivered: list[AudioChunk] = []
    with pytest.raises(RecordingError, match=r"is damaged at second 1\.\d") as caught:
        delivered.extend(Recording("torn", path, live=False).chunks())
    total = len(joined(delivered))
    second = float(re.findall(r"second ([\d.]+)", str(caught.value))[0])
    assert total / SAMPLE_RATE_HZ == pytest.approx(second, abs=0.06)


def test_a_truncated_wav_delivers_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "torn.wav"
    soundfile.write(path, noise(1.0), SAMPLE_RATE_HZ)
    path.write_bytes(path.read_bytes()[:16_044])
    assert len(joined(list(Recording("torn", path, live=False).chunks()))) == 8_000


def test_a_playlist_opens_no_address(tmp_path: Path) -> None:
    listening = tmp_path / "list.m3u8"
    listening.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    )
    assert "is not a readable recording" in refusal(listening)


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
        chunks = list(PcmInput("pipe", pipe).chunks())
        writer.join(5)
    assert np.array_equal(joined(chunks), sound / np.float32(32_768))
    assert began_at - 1.0 < chunks[0].captured_at < time.time()


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
            assert second.captured_at - first.captured_at == pytest.approx(3_600.1, abs=0.01)


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
    ],
)
def test_a_pipe_without_samples_is_reported(written: bytes, sentence: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(SourceError, match=sentence):
        list(PcmInput("stdin", pipe).chunks())


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

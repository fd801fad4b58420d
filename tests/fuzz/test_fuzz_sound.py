"""Bare samples and recordings of any content."""

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st
from promises import a_file, assert_one_sentence, examples, kept, mutated, within

from streamer.errors import SourceError
from streamer.messages import AudioChunk, Samples
from streamer.sources.conversion import Converter
from streamer.sources.file_headers import kind_of_file
from streamer.sources.pcm import PcmInput
from streamer.sources.recording import Recording

pytestmark = pytest.mark.slow

MEBIBYTES = 256
SECONDS = 10.0
MOST_SAMPLES = 16_000 * 120


def encoded(container: str, codec: str) -> bytes:
    """Half a second of a tone, by FFmpeg."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=44_100, layout="stereo")
        tone = np.tile(np.sin(np.arange(22_050) / 20).astype(np.float32) * 0.5, (2, 1))
        resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(tone, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def written(container: str, subtype: str, rate: int = 22_050) -> bytes:
    """Half a second of a tone, by libsndfile."""
    buffer = io.BytesIO()
    tone = np.sin(np.arange(11_025) / 20).astype(np.float32) * 0.5
    soundfile.write(buffer, np.stack([tone, -tone], 1), rate, format=container, subtype=subtype)
    return buffer.getvalue()


RECORDINGS = {
    "wav": written("WAV", "PCM_16"),
    "float.wav": written("WAV", "FLOAT"),
    "adpcm.wav": written("WAV", "IMA_ADPCM"),
    "aiff": written("AIFF", "PCM_24"),
    "au": written("AU", "ULAW"),
    "caf": written("CAF", "ALAC_16"),
    "w64": written("W64", "PCM_16"),
    "flac": written("FLAC", "PCM_16"),
    "ogg": written("OGG", "VORBIS"),
    "opus": written("OGG", "OPUS", 24_000),
    "mp3": written("MP3", "MPEG_LAYER_III"),
    "m4a": encoded("mp4", "aac"),
    "mkv": encoded("matroska", "aac"),
}
"""A recording of each format: a new one has its own here."""


def sound_of(content: bytes, suffix: str) -> int | None:
    """Read the first minutes of a recording; return the number of samples, None if it was refused before any."""
    with a_file(content, f".{suffix}") as path, within(mebibytes=MEBIBYTES, seconds=SECONDS):
        recording = Recording("it", path, live=False)
        kept(recording.check)
        total = end_sample = 0

        def read() -> None:
            nonlocal total, end_sample
            for chunk in recording.chunks():
                assert chunk.start_sample >= end_sample, "only gaps"
                assert_sound(chunk, chunk.start_sample)
                end_sample = chunk.start_sample + len(chunk.samples)
                total += len(chunk.samples)
                if total > MOST_SAMPLES:
                    break

        kept(read)
    return total or None


def assert_sound(chunk: AudioChunk, start_sample: int) -> None:
    assert chunk.start_sample == start_sample
    assert chunk.samples.dtype == np.float32
    assert 0 < len(chunk.samples) <= 1600
    assert np.isfinite(chunk.samples).all()
    assert np.abs(chunk.samples).max() <= 1.0


@pytest.mark.parametrize("suffix", RECORDINGS)
def test_what_is_mutated_here_is_a_recording_at_first(suffix: str) -> None:
    assert 7_000 < (sound_of(RECORDINGS[suffix], suffix) or 0) < 9_500


@examples(25)
@given(st.data())
@pytest.mark.parametrize("suffix", RECORDINGS)
def test_a_mutated_recording_is_read_or_refused_in_a_sentence(suffix: str, data: st.DataObject) -> None:
    sound_of(data.draw(mutated(RECORDINGS[suffix])), suffix)


@examples(60)
@given(st.binary(max_size=300), st.sampled_from(["wav", "raw", "txt", "m3u8", "mp3"]))
@example(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n", "m3u8")
@example(b"ffconcat version 1.0\nfile 'pipe:0'\n", "txt")
def test_any_bytes_are_a_recording_or_refused_in_a_sentence(content: bytes, suffix: str) -> None:
    sound_of(content, suffix)


def wav(*, channels: int, rate: int, claimed_bytes: int, data: bytes = bytes(4000)) -> bytes:
    """A WAV file whose header may claim anything."""
    frame = channels * 2
    header = (1, channels, rate, rate * frame, frame, 16)
    sizes = (2, 2, 4, 4, 2, 2)
    form = b"".join(
        (value % 256**size).to_bytes(size, "little") for value, size in zip(header, sizes, strict=True)
    )
    return (
        b"RIFF"
        + (claimed_bytes % 2**32).to_bytes(4, "little")
        + b"WAVEfmt \x10\x00\x00\x00"
        + form
        + b"data"
        + (claimed_bytes % 2**32).to_bytes(4, "little")
        + data
    )


@examples(100)
@given(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@example(1024, 2**31 - 1, 4000)
@example(2, 2**31 - 1, 2**32 - 1)
@example(65_535, 16_000, 2**32 - 1)
@example(1, 1, 4000)
@example(1, 16_000, 2**32 - 1)
def test_what_a_header_claims_takes_neither_memory_nor_time(channels: int, rate: int, claimed: int) -> None:
    sound_of(wav(channels=channels, rate=rate, claimed_bytes=claimed), "wav")


@examples(60)
@given(
    st.one_of(st.sampled_from([16_000, 44_100]), st.integers(1, 2**32 - 1)),
    st.integers(1, 4),
    st.lists(st.lists(st.floats(width=32), max_size=30), max_size=5),
)
@example(1, 1, [[1.0]])
@example(2**32 - 1, 1, [[1.0]])
def test_frames_of_any_rate_and_values_become_sound(
    rate: int, channels: int, blocks: Sequence[list[float]]
) -> None:
    with within(mebibytes=MEBIBYTES, seconds=SECONDS):
        converter = Converter(rate, channels)
        total = frames = 0
        for values in (*blocks, None):
            if values is None:
                samples = converter.flush()
            else:
                whole = np.array(values[: len(values) // channels * channels], np.float32)
                frames += len(whole) // channels
                samples = converter.feed(whole.reshape(-1, channels))
            assert np.isfinite(samples).all()
            assert (np.abs(samples) <= 1.0).all()
            total += len(samples)
        assert abs(total - frames * 16_000 / rate) <= 1


def through_a_pipe(pieces: Sequence[bytes], *, live: bool = False) -> Iterator[AudioChunk]:
    """Read what is written into a pipe, piece by piece."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError):
            for piece in pieces:
                os.write(writing, piece)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield from PcmInput("pipe", reading, live=live).chunks()
    finally:
        os.close(reading)
        writer.join()


@examples(150)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8))
@example([b"R", b"IFF"])
@example([b"x", b"RIFF"])
@example([b"\0"])
@example([b"RIFFxxxxWAVE"])
def test_any_bytes_on_standard_input_are_samples_however_they_are_cut(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    heard: list[Samples] = []
    try:
        for chunk in through_a_pipe(pieces):
            assert_sound(chunk, sum(len(samples) for samples in heard))
            heard.append(chunk.samples)
    except SourceError as error:
        assert_one_sentence(str(error))
        assert len(content) < 2 or kind_of_file(content)
    else:
        whole = np.frombuffer(content[: len(content) // 2 * 2], "<i2") / np.float32(32_768)
        assert np.array_equal(np.concatenate(heard), whole.astype(np.float32))

"""FFmpeg's process on files that arrive slowly, as from a slow disk."""

import io
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.sources.ffmpeg.process import FFmpegProcess
from streamer.sources.ffmpeg.wire import DecodingFailure, Request

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

RATE_HZ = 8_000
FRAMES_A_SECOND = 25
PATIENCE_SECONDS = 1.0
"""Time without a message after which a process counts as hanging, beside its margin of a second."""


@pytest.fixture(scope="module")
def film() -> tuple[bytes, bytes]:
    """A film that has audio in its first second alone: that second, and four with pictures only."""
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        pictures = container.add_stream("mjpeg", rate=FRAMES_A_SECOND)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuvj420p"
        audio = av.AudioFrame.from_ndarray(np.full((1, RATE_HZ), 1_000, np.int16), "s16", "mono")
        audio.rate = RATE_HZ
        container.mux([*sound.encode(audio), *sound.encode(None)])
        noise = np.random.default_rng(1)
        for number in range(5 * FRAMES_A_SECOND):
            picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (64, 64, 3), np.uint8))
            picture.pts = number
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
    data = file.getvalue()
    return data[: len(data) // 5], data[len(data) // 5 :]


@contextmanager
def arriving(film: tuple[bytes, bytes], path: Path) -> Iterator[Path]:
    """A file whose first second is there at once, and the rest over four seconds."""
    os.mkfifo(path)
    beginning, rest = film
    step = len(rest) // 40

    def write() -> None:
        try:
            with path.open("wb", buffering=0) as file:
                file.write(beginning)
                for start in range(0, len(rest), step):
                    time.sleep(0.1)
                    file.write(rest[start : start + step])
        except BrokenPipeError:
            return

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield path
    writer.join(10)
    assert not writer.is_alive()


def request(path: Path, *, live: bool = False) -> Request:
    options = {"protocol_whitelist": "file", "analyzeduration": "100000", "probesize": "20000"}
    return Request(str(path), ["nut"], options, read_seconds=PATIENCE_SECONDS, live=live)


def test_a_film_whose_audio_ends_early_is_read_to_its_end(film: tuple[bytes, bytes], tmp_path: Path) -> None:
    with arriving(film, tmp_path / "film") as path, FFmpegProcess() as process:
        assert process.open(request(path)) is not None
        began = time.monotonic()
        frames = sum(len(block.frames) for block in process.blocks())
        took = time.monotonic() - began
    assert frames == RATE_HZ
    assert took > 3.0, "longer than a process may be silent"


def test_a_live_stream_must_have_audio(film: tuple[bytes, bytes], tmp_path: Path) -> None:
    with arriving(film, tmp_path / "film") as path, FFmpegProcess() as process:
        assert process.open(request(path, live=True)) is not None
        with pytest.raises(DecodingFailure, match="silent"):
            list(process.blocks())


def test_a_film_can_be_stopped_where_it_has_no_audio(film: tuple[bytes, bytes], tmp_path: Path) -> None:
    with arriving(film, tmp_path / "film") as path, FFmpegProcess() as process:
        assert process.open(request(path)) is not None
        next(process.blocks())
        time.sleep(0.5)
        began = time.monotonic()
        process.stop()
        assert time.monotonic() - began < PATIENCE_SECONDS
        assert process.is_free

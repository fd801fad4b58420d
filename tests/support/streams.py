"""Listening to network streams, to their end or their failure."""

import math
import time

import numpy as np
import pytest

from streamer.errors import NetworkError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.sources.network import NetworkStream
from streamer.sources.url import parse_url

SECONDS = 2.0
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(44_100 * SECONDS)) / 44_100)).astype(np.float32)
PASSWORD = "tr0ub4dor"


def source_at(url: str, *, seconds: float = 10.0) -> NetworkStream:
    """A stream that waits so long for a server that may be busy."""
    return NetworkStream("s", parse_url(url), connect_seconds=seconds, stall_seconds=seconds)


def heard(source: NetworkStream, chunks: list[AudioChunk], *, seconds: float = math.inf) -> None:
    """Listen to so much sound, or to the end, and check that the index is whole."""
    position = 0
    for chunk in source.chunks():
        assert chunk.start_sample >= position
        assert chunk.captured_at <= time.time() + 0.01
        position = chunk.start_sample + len(chunk.samples)
        chunks.append(chunk)
        if position >= seconds * SAMPLE_RATE_HZ:
            source.close()


def listened(url: str, *, seconds: float = math.inf) -> list[AudioChunk]:
    chunks: list[AudioChunk] = []
    heard(source_at(url), chunks, seconds=seconds)
    return chunks


def joined(chunks: list[AudioChunk]) -> Samples:
    return np.concatenate([chunk.samples for chunk in chunks])


def refusal(url: str, *, seconds: float = 10.0) -> str:
    with pytest.raises(NetworkError) as caught:
        heard(source_at(url, seconds=seconds), [])
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert PASSWORD not in sentence
    assert PASSWORD not in repr(caught.value.__context__), "an error of FFmpeg's has the address"
    return sentence


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2)))

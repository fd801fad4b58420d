"""Jumps of a stream's index: sound that was lost."""

from collections.abc import Iterable, Sequence

from streamer.messages import AudioChunk


def lost_before(chunks: Iterable[AudioChunk], position: int = 0) -> list[int]:
    """Return the samples that were lost before each chunk of a stream, which has come to this position before."""
    lost = []
    for chunk in chunks:
        lost.append(chunk.start_sample - position)
        position = chunk.start_sample + len(chunk.samples)
    return lost


def end_of(chunks: Sequence[AudioChunk]) -> int:
    """Return the position that the last of these chunks has come to."""
    return chunks[-1].start_sample + len(chunks[-1].samples)

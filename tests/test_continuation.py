"""One index for the sources that take the same place."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from streamer.live import continuation
from streamer.live.continuation import Continuation
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk

SECOND = np.zeros(SAMPLE_RATE_HZ, np.float32)


class Room:
    """A place for sources, and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._continuation = Continuation()
        monkeypatch.setattr(continuation, "elapsed_seconds", lambda: self.now)

    def hear(self, source: object, starts: Iterable[int]) -> list[float]:
        """Hear a second at each of these, of a source's own time; return their times in the room."""
        chunks = (AudioChunk(SECOND, start * SAMPLE_RATE_HZ, 0.0) for start in starts)
        heard = []
        for chunk in self._continuation.of(source, chunks):
            heard.append(chunk.start_sample / SAMPLE_RATE_HZ)
            self.now += 1.0
        return heard


@pytest.fixture(name="room")
def make_room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


def test_another_source_continues_where_the_one_before_ended(room: Room) -> None:
    assert room.hear("a", range(10)) == list(range(10))
    assert room.hear("b", range(5)) == list(range(10, 15))


@pytest.mark.parametrize("away", [2, 10, 60])
def test_an_interruption_is_a_gap_of_its_length_whether_the_source_counts_on_or_starts_again(
    room: Room, away: int
) -> None:
    room.hear("a", range(10))
    room.hear("b", range(5))
    room.now += away
    on = range(5 + away, 8 + away)
    assert room.hear("b", on) == [15 + away, 16 + away, 17 + away]
    room.now += away
    assert room.hear("b", range(3))[0] == pytest.approx(18 + 2 * away, abs=1)


def test_a_source_that_was_never_away_has_its_own_index(room: Room) -> None:
    assert room.hear("a", itertools.chain(range(3), range(63, 65))) == [0, 1, 2, 63, 64]

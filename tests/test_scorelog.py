"""The score log, and what is decided from it: the same as live, or as other settings would have it."""

import logging
import resource
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from earshot.cli import add_commands
from streamer.commands.replay_log import replay
from streamer.errors import SinkError
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.messages import Event, SourceStatus, Tagging
from streamer.sinks.score_log import ScoreLog, reading_scores

RATE = 16_000
LABELS = ("Dog", "Siren")
NOW = 1_772_366_400.25


def tagging(second: int, *scores: float, source: str = "x") -> Tagging:
    levels = np.random.default_rng(second).uniform(-60, -10, 20).astype(np.float32)
    start = max(0, second - 10) * RATE
    return Tagging(
        source, start, second * RATE, NOW + second, np.array(scores, np.float32), -20.5, None, levels
    )


def watched(threshold: float = 0.5) -> tuple[WatchedSound, ...]:
    return resolve_sounds([Watch("Dog", {"threshold": threshold, "hits": 1, "of": 1})], LABELS)


def scorelog(path: Path, thresholds: Sequence[float] | None = None) -> ScoreLog:
    own = None if thresholds is None else np.array(thresholds, np.float32)
    return ScoreLog(path, model="small", labels=LABELS, thresholds=own)


def written(path: Path, messages: Sequence[Tagging | SourceStatus]) -> None:
    with scorelog(path) as log:
        for message in messages:
            log.accept(message)


def read(path: Path) -> list[Tagging | SourceStatus]:
    with reading_scores(path) as logged:
        return list(logged.messages())


def without_ids(events: Sequence[Event]) -> list[tuple[object, ...]]:
    return [
        (event.kind, event.source, event.score, event.started_at, event.ended_at, event.end_sample)
        for event in events
    ]


def test_a_tagging_comes_back_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    first = tagging(3, 0.123456789, 0.9)
    written(path, [first])
    (again,) = read(path)
    assert isinstance(again, Tagging)
    assert again.scores.tobytes() == first.scores.tobytes()
    assert again.levels_dbfs.tobytes() == first.levels_dbfs.tobytes()
    assert (again.source, again.start_sample, again.end_sample) == ("x", 0, 3 * RATE)
    assert (again.ended_at, again.level_dbfs, again.latency_seconds) == (first.ended_at, -20.5, None)


def test_a_log_names_its_model(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    scorelog(path, [0.25, 0.0]).close()
    with reading_scores(path) as logged:
        assert (logged.model, logged.labels) == ("small", LABELS)
        assert logged.thresholds is not None
        assert logged.thresholds.tolist() == [0.25, 0.0]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    written(path, [tagging(1, 0.5, 0.5)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_is_continued_and_each_run_is_a_stretch_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    written(path, [tagging(1, 0.9, 0.1)])
    written(path, [tagging(1, 0.8, 0.1)])
    first, between, second = read(path)
    assert isinstance(first, Tagging)
    assert between == SourceStatus("x", online=False)
    assert isinstance(second, Tagging)
    assert second.scores[0] == np.float32(0.8)


@st.composite
def streams(draw: st.DrawFn) -> list[Tagging | SourceStatus]:
    """Two sources that hear, or don't, and are switched off now and then."""
    seconds = {"x": 0, "y": 0}
    messages: list[Tagging | SourceStatus] = []
    for source, kind in draw(
        st.lists(st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 9)), min_size=1, max_size=60)
    ):
        if kind == 0 and seconds[source]:
            messages.append(SourceStatus(source, online=False, reason="listening is switched off"))
            seconds[source] += 3
        else:
            seconds[source] += 1
            messages.append(tagging(seconds[source], float(kind > 4), 0.0, source=source))
    return messages


@settings(max_examples=30, deadline=None)
@given(messages=streams())
def test_a_replay_decides_as_live(
    messages: list[Tagging | SourceStatus], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "scores.sqlite3"
    detectors = {source: EventDetector(watched()) for source in ("x", "y")}
    live: list[Event] = []
    for message in messages:
        detector = detectors[message.source]
        live += detector.feed(message) if isinstance(message, Tagging) else detector.close()
    live += [event for detector in detectors.values() for event in detector.close()]
    written(path, messages)
    with reading_scores(path) as logged:
        replayed = list(replay(logged.messages(), watched()))
    assert sorted(map(str, without_ids(replayed))) == sorted(map(str, without_ids(live)))


def test_other_thresholds_give_other_events(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    written(path, [tagging(second, 0.4, 0.0) for second in range(1, 5)])
    assert not list(replay(read(path), watched(0.5)))
    assert [event.kind for event in replay(read(path), watched(0.3))] == ["started", "ended"]


def test_a_log_of_another_model_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    scorelog(path).close()
    with pytest.raises(SinkError, match="other classes: set --score-log to another file"):
        ScoreLog(path, model="other", labels=("Cat",))


def test_a_log_goes_on_whatever_sounds_were_taught_and_removed_between(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"

    def log(*taught: str, thresholds: Sequence[float] | None = None) -> ScoreLog:
        own = None if thresholds is None else np.array(thresholds, np.float32)
        return ScoreLog(path, model="small", labels=(*LABELS, *taught), thresholds=own, own=len(LABELS))

    with log("Our doorbell") as before:
        before.accept(tagging(1, 0.1, 0.2, 0.3))
    with log("Coffee machine", "Our doorbell", thresholds=(0.5, 0.6, 0.7, 0.8)) as now:
        now.accept(tagging(2, 0.1, 0.2, 0.4, 0.5))
        now.set_labels((*LABELS, "Coffee machine", "Our doorbell", "Bell"), np.array([0.5] * 5, np.float32))
        now.accept(tagging(3, 0.1, 0.2, 0.4, 0.5, 0.6))
    with log("Kettle") as without:  # another place in the file than in the taggings
        without.accept(tagging(4, 0.1, 0.2, 0.0))
        without.accept(tagging(5, 0.1, 0.2, 0.7, 0.8))  # with a sound that the log hears of a moment later
    with reading_scores(path) as logged:
        assert logged.labels == (*LABELS, "Our doorbell", "Coffee machine", "Bell", "Kettle")
        assert logged.thresholds is not None
        assert logged.thresholds.tolist() == pytest.approx([0.5] * 5 + [0.0])
        scores = [message.scores.tolist() for message in logged.messages() if isinstance(message, Tagging)]
    expected = [(0.3, 0, 0, 0), (0.5, 0.4, 0, 0), (0.5, 0.4, 0.6, 0), (0, 0, 0, 0), (0, 0, 0, 0.7)]
    assert [row[2:] for row in scores] == [pytest.approx(row) for row in expected]
    assert [row[:2] for row in scores] == [pytest.approx((0.1, 0.2))] * 5
    with pytest.raises(SinkError, match="other classes"):
        ScoreLog(path, model="small", labels=("Dog", "Bell"), own=2)


def test_two_writers_cannot_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    with scorelog(path), pytest.raises(SinkError, match="another Earshot writes the score log"):
        scorelog(path)
    scorelog(path).close()


def test_a_locked_file_does_not_delay_listening(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    with scorelog(path) as log, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.accept(tagging(1, 0.5, 0.5))
        assert log._connection is not None
        assert log._connection.execute("PRAGMA busy_timeout").fetchone() == (100,), "of milliseconds"
        other.execute("ROLLBACK")
        log.accept(tagging(2, 0.5, 0.5))
        assert log.losses().unlogged_taggings == 1


def test_a_file_that_is_not_a_score_log_is_left_alone(tmp_path: Path) -> None:
    text, database = tmp_path / "notes.txt", tmp_path / "other.sqlite3"
    text.write_text("Dear diary, " * 1000)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    for path in (text, database):
        before = path.read_bytes()
        with pytest.raises(SinkError) as caught:
            scorelog(path)
        assert "\n" not in str(caught.value)
        with pytest.raises(SinkError), reading_scores(path):
            pass
        assert path.read_bytes() == before


def test_an_impossible_log_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="can't be written"):
        scorelog(tmp_path / "nowhere" / "scores.sqlite3")
    with pytest.raises(SinkError, match="can't be written"):
        scorelog(tmp_path)
    with pytest.raises(SinkError, match="there is no score log"), reading_scores(tmp_path / "none"):
        pass


def test_a_truncated_log_is_reported_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite3"
    written(path, [tagging(second, 0.5, 0.5) for second in range(1, 400)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SinkError, match="can't be read") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_reported_once_and_later_scores_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.sqlite3"
    with caplog.at_level(logging.WARNING), scorelog(path) as log:
        log.accept(tagging(1, 0.5, 0.5))
        with disk_of(100):
            log.accept(tagging(2, 0.5, 0.5))
            log.accept(tagging(3, 0.5, 0.5))
        log.accept(tagging(4, 0.5, 0.5))
        assert log.losses().unlogged_taggings == 2
    assert len(caplog.records) == 1
    assert "can't be written" in caplog.text
    assert [message.end_sample // RATE for message in read(path) if isinstance(message, Tagging)] == [1, 4]


def run(*arguments: str) -> tuple[int, str, str]:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, ["replay", *arguments])
    return result.exit_code, result.stdout, str(result.exception or result.stderr)


def test_the_command_lists_the_events_that_other_settings_would_give(tmp_path: Path) -> None:
    log, file = tmp_path / "scores.sqlite3", tmp_path / "new.toml"
    written(log, [tagging(second, 0.4, 0.0) for second in range(1, 5)])
    file.write_text('watch = [{ sound = "Dog", threshold = 0.3 }]\n')
    code, out, _ = run(str(log), "--config", str(file), "--json")
    assert code == 0
    assert '"label":"Dog"' in out
    assert out.count("\n") == 1
    file.write_text('watch = [{ sound = "Dog", threshold = 0.45 }]\n')
    code, out, err = run(str(log), "--config", str(file))
    assert (code, out) == (0, "")
    assert "No events found" in err


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    assert run(str(tmp_path / "none"))[0] != 0
    assert run(str(tmp_path / "none"), "--csv", "--json")[0] == 2

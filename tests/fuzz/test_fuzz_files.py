"""Files that Earshot has written, and files for it that people write: tables, data sets, score logs, histories, switches."""

import io
import re
import sqlite3
import string
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from promises import MEBIBYTE, a_file, a_folder, examples, kept, mutated, within

from models.checkpoints.original import _read_labels
from models.training.dataset import read_dataset
from streamer.commands.replay_log import replay
from streamer.commands.thresholds import Background
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.live.switches import read_switched_off
from streamer.messages import Event, Tagging
from streamer.sinks.history.occurrences import (
    read_occurrences,
    write_csv,
    write_json,
    write_table,
)
from streamer.sinks.history.store import History
from streamer.sinks.score_log import ScoreLog, reading_scores

pytestmark = pytest.mark.slow

LABELS = ("Speech", "Dog", "Siren")
EVENT = Event("an-id", "ended", "Dog", "kitchen", 0.5, 1_700_000_000.0, 1_700_000_002.0, None, 0, 32_000)
TAGGING = Tagging(
    "kitchen", 0, 16_000, 1_700_000_000.0, np.full(3, 0.9, np.float32), -20.0, None, np.zeros(20, np.float32)
)


@lru_cache(maxsize=1)
def a_history() -> bytes:
    with a_folder() as folder:
        with History(folder / "history") as history:
            history.accept(replace(EVENT, kind="started", ended_at=None))
            history.accept(EVENT)
        return whole(folder / "history")


@lru_cache(maxsize=1)
def a_score_log() -> bytes:
    with a_folder() as folder:
        with ScoreLog(
            folder / "log", model="tiny", labels=LABELS, thresholds=np.full(3, 0.3, np.float32)
        ) as log:
            for number in range(5):
                log.accept(replace(TAGGING, start_sample=number * 16_000, end_sample=(number + 1) * 16_000))
        return whole(folder / "log")


def whole(database: Path) -> bytes:
    """The content of a database, without anything beside it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return database.read_bytes()


def lines_of_history(content: bytes) -> int | None:
    """List what a history says in all three forms, then go on writing it; how many lines there are."""
    with a_file(content) as path, within():
        counts = {
            kept(lambda write=write: write(read_occurrences(path), io.StringIO()))  # type: ignore[misc]
            for write in (write_table, write_csv, write_json)
        }
        assert len(counts) == 1
        kept(lambda: go_on(path))
    return counts.pop()


def go_on(path: Path) -> None:
    with History(path) as history:
        history.accept(replace(EVENT, id="another"))
        history.pending(10)


def events_of_log(content: bytes) -> int | None:
    """Decide again on what a score log says, and calibrate by it; how many events there are."""
    with a_file(content) as path, within():
        kept(lambda: room_of(path))
        count = kept(lambda: replayed(path))
        kept(lambda: log_on(path))
    return count


def log_on(path: Path) -> None:
    with ScoreLog(path, model="tiny", labels=LABELS) as log:
        log.accept(TAGGING)


def replayed(path: Path) -> int:
    with reading_scores(path) as logged:
        sounds = resolve_sounds([Watch("Dog")], logged.labels, logged.thresholds)
        return write_table(replay(logged.messages(), sounds), io.StringIO())


def room_of(path: Path) -> None:
    with reading_scores(path) as logged:
        room = Background(resolve_sounds([Watch("Dog")], logged.labels, logged.thresholds))
        for message in logged.messages():
            room.accept(message)


def test_what_is_mutated_here_is_read_at_first() -> None:
    assert lines_of_history(a_history()) == 1
    assert events_of_log(a_score_log()) == 2


@examples(60)
@given(st.data())
def test_a_mutated_history_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    lines_of_history(data.draw(mutated(a_history())))


@examples(60)
@given(st.data())
def test_a_mutated_score_log_is_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    events_of_log(data.draw(mutated(a_score_log())))


def test_a_history_whose_tables_have_names_that_are_no_text_is_refused_in_a_sentence() -> None:
    named, count = re.subn(rb'(?<=CREATE TABLE ")event|(?<=CREATE TABLE )event', b"\x80vent", a_history())
    assert count == 1
    assert lines_of_history(named) is None


@examples(40)
@given(st.binary(max_size=200))
@example(b"")
@example(b"SQLite format 3\0")
def test_any_bytes_are_a_history_or_a_score_log_or_refused_in_a_sentence(content: bytes) -> None:
    assert not lines_of_history(content)
    assert not events_of_log(content)


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.binary(max_size=16),
    st.sampled_from([1e300, -1e300, 1e12, float("inf"), "\x1b[2J"]),
)


def with_cells(content: bytes, table: str, cells: dict[str, Any]) -> bytes:
    """Put anything into columns of a table; what SQLite itself refuses stays as it was."""
    with a_file(content) as path:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for column, value in cells.items():
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
        return path.read_bytes()


@examples(150)
@given(
    st.dictionaries(
        st.sampled_from(["id", "label", "source", "score", "started_at", "ended_at", "clip", "start_sample"]),
        cells,
        max_size=3,
    )
)
@example({"started_at": 1e300})
@example({"started_at": -1e300, "ended_at": 1e300})
@example({"started_at": "x"})
@example({"ended_at": b"x"})
@example({"score": "x"})
@example({"label": b"x"})
def test_a_history_with_anything_in_it_is_read_or_refused_in_a_sentence(changes: dict[str, Any]) -> None:
    lines_of_history(with_cells(a_history(), "event", changes))


@examples(150)
@given(
    st.dictionaries(
        st.sampled_from(["start_sample", "end_sample", "ended_at", "level_dbfs", "levels_dbfs", "scores"]),
        cells,
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(["labels", "thresholds", "name"]), cells, max_size=2),
)
@example({"scores": b""}, {})
@example({"scores": "x"}, {})
@example({"scores": 5}, {})
@example({"levels_dbfs": b""}, {})
@example({"start_sample": 2**62, "end_sample": -(2**62)}, {})
@example({"end_sample": 0.5}, {})
@example({"end_sample": "x"}, {})
@example({"ended_at": 1e300}, {})
@example({}, {"labels": "5"})
@example({}, {"labels": "[5, 5, 5]"})
@example({}, {"labels": "[" * 5000})
@example({}, {"labels": '["Dog"]'})
@example({}, {"thresholds": b"1234"})
@example({}, {"thresholds": "x"})
def test_a_score_log_with_anything_in_it_is_read_or_refused_in_a_sentence(
    tagging: dict[str, Any], model: dict[str, Any]
) -> None:
    content = with_cells(a_score_log(), "tagging", tagging)
    events_of_log(
        with_cells(content, "model", {name: "" if value is None else value for name, value in model.items()})
    )


def test_impossible_file_names_are_refused_as_history_and_score_log() -> None:
    for path in (Path("x" * 400), Path("/dev/null"), Path("/")):
        assert kept(lambda path=path: list(read_occurrences(path))) is None  # type: ignore[misc]
        assert kept(lambda path=path: replayed(path)) is None  # type: ignore[misc]


def test_a_score_log_without_a_model_is_refused_in_a_sentence() -> None:
    with a_file(a_score_log()) as path:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM model")
        assert kept(lambda: replayed(path)) is None


tables = st.one_of(
    st.binary(max_size=100),
    st.tuples(
        st.sampled_from(["path,label\n", "path,label,fold\n", "index,display_name\n", "filename,category\n"]),
        st.text(string.printable + "\0é", max_size=80),
    ).map(lambda parts: "".join(parts).encode()),
)


@examples(200)
@given(tables)
@example(b"index,display_name\n0")
@example(b"index,display_name\n0,a\n" + b"1" * 5000 + b",b\n")
@example(b"path,label\n" + b"x" * 200_000 + b",b\n")
@example(b"path,label,fold\na.wav,b," + b"1" * 5000 + b"\n")
@example(b"path,label\n../\x00,b\n")
@example(b"path,label\n" + b"a/" * 5000 + b",b\n")
def test_any_table_is_read_or_refused_in_a_sentence(content: bytes) -> None:
    with a_file(content, ".csv") as path, within():
        labels = kept(lambda: _read_labels(path))
        assert labels is None or all(isinstance(label, str) for label in labels)
        dataset = kept(lambda: read_dataset(path))
        assert dataset is None or len(dataset.labels) > 0


@examples(100)
@given(st.one_of(st.binary(max_size=60), st.text('[]{}":,of1', max_size=30).map(str.encode)))
@example(b"[" * 100_000)
@example(b'{"off": [' + b"1" * 5000 + b"]}")
@example(b'{"off": ["\\udcff"]}')
@example(b" " * 20 * MEBIBYTE)
def test_any_bytes_say_what_is_switched_off_or_are_refused_in_a_sentence(content: bytes) -> None:
    with a_file(content) as path, within(mebibytes=64):
        names = kept(lambda: read_switched_off(path))
        assert names is None or all(isinstance(name, str) for name in names)

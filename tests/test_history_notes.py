"""Notes of people on events: marks, clips to keep, events to delete, and histories of before there were notes."""

import io
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.waiting import PATIENCE_SECONDS

from streamer.errors import SinkError
from streamer.messages import Event, EventQuery, Occurrence
from streamer.sinks.history import database, page
from streamer.sinks.history.notes import Notes
from streamer.sinks.history.occurrences import read_occurrences, write_csv, write_json, write_table
from streamer.sinks.history.store import History

VERSION_1 = """
PRAGMA application_id = 1164014195;
PRAGMA user_version = 1;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('started', 'ended')),
    label TEXT NOT NULL,
    source TEXT NOT NULL,
    score REAL,
    started_at REAL NOT NULL,
    ended_at REAL,
    clip TEXT,
    start_sample INTEGER,
    end_sample INTEGER,
    published INTEGER,
    UNIQUE (id, kind)
);
CREATE INDEX event_by_time ON event (started_at);
CREATE INDEX event_waiting ON event (seq) WHERE published = 0;
INSERT INTO event VALUES (7, 'a', 'started', 'Dog', 'door', 0.5, 1790000000.0, NULL, NULL, 16000, NULL, 1);
INSERT INTO event VALUES (8, 'a', 'ended', 'Dog', 'door', 0.75, 1790000000.0, 1790000002.5, '/c/1.flac', 16000, 56000, 0);
INSERT INTO event VALUES (9, 'b', 'started', 'Siren', 'yard', 0.5, 1790000010.0, NULL, NULL, 16000, NULL, NULL);
"""
"""History as Earshot wrote it before events had notes."""

HOLDING = """
import sys
from pathlib import Path
from streamer.sinks.locks import WriterLock
WriterLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def old(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {VERSION_1}")
    return path


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def forever(path: Path, **more: bool) -> History:
    return History(path, days=36_500.0, **more)


def both(number: int, at: float | None = None) -> tuple[Event, Event]:
    began = time.time() - 60.0 if at is None else at
    started = Event(str(number), "started", "Dog", "door", 0.5, began)
    return started, replace(started, kind="ended", score=0.75, ended_at=began + 2.5)


def fill(history: History, *numbers: int, at: float | None = None) -> None:
    for number in numbers:
        for event in both(number, at):
            history.accept(event)


def notes_of(path: Path) -> dict[str, tuple[str | None, bool]]:
    return {found.id: (found.mark, found.keeps_clip) for found in read_occurrences(path)}


def test_an_event_is_marked_and_the_mark_is_changed_and_taken_back(path: Path) -> None:
    with forever(path) as history:
        fill(history, 1, 2)
        notes = Notes(history)
        notes.mark("1", "wrong")
        assert notes_of(path) == {"1": ("wrong", False), "2": (None, False)}
        notes.mark("1", "right")
        notes.keep_clip("1", True)
        assert notes_of(path)["1"] == ("right", True)
        notes.mark("1", None)
        notes.keep_clip("1", False)
        assert notes_of(path)["1"] == (None, False)
    assert ask(path, "SELECT count(*) FROM note") == [(0,)]


def test_marks_are_in_all_forms_of_the_list(path: Path) -> None:
    with forever(path) as history:
        fill(history, 1, 2)
        Notes(history).mark("1", "wrong")
    table, sheet, lines = io.StringIO(), io.StringIO(), io.StringIO()
    write_table(read_occurrences(path), table)
    write_csv(read_occurrences(path), sheet)
    write_json(read_occurrences(path), lines)
    assert "door · Dog · wrong" in table.getvalue()
    assert sheet.getvalue().splitlines()[1].endswith(",wrong,False,True,")
    assert [json.loads(line)["mark"] for line in lines.getvalue().splitlines()] == ["wrong", None]
    assert page.read_newest(path, EventQuery())[-1].mark == "wrong"
    assert page.read_one(path, "2") is not None


def test_an_unknown_event_has_no_notes(path: Path) -> None:
    with forever(path) as history:
        notes = Notes(history)
        with pytest.raises(SinkError, match="no such event"):
            notes.mark("1", "right")
        with pytest.raises(SinkError, match="no such event"):
            notes.keep_clip("1", True)
        with pytest.raises(SinkError, match="no such event"):
            notes.delete("1")
    assert ask(path, "SELECT count(*) FROM note") == [(0,)]


def test_an_event_is_deleted_with_its_note(path: Path) -> None:
    with forever(path, outgoing=False) as history:
        fill(history, 1, 2)
        notes = Notes(history)
        notes.mark("1", "wrong")
        notes.delete("1")
    assert list(notes_of(path)) == ["2"]
    assert ask(path, "SELECT count(*) FROM note") == [(0,)]


def test_an_event_that_goes_on_or_waits_for_the_broker_is_not_deleted(path: Path) -> None:
    with forever(path) as history:
        fill(history, 1)
        history.accept(both(2)[0])
        notes = Notes(history)
        with pytest.raises(SinkError, match="still on"):
            notes.delete("2")
        with pytest.raises(SinkError, match="waits for the MQTT broker"):
            notes.delete("1")
        history.mark_published(history.pending(10)[:2])
        notes.delete("1")
        assert list(notes_of(path)) == ["2"]


def test_old_events_go_with_their_marks_unless_their_clip_is_kept(path: Path) -> None:
    with History(path, days=36_500.0, outgoing=False) as history:
        fill(history, 1, 2, at=time.time() - 90 * 86_400.0)
        fill(history, 3)
        notes = Notes(history)
        notes.mark("1", "right")
        notes.keep_clip("2", True)
    with History(path, days=30.0, outgoing=False):
        assert notes_of(path) == {"2": (None, True), "3": (None, False)}
    assert ask(path, "SELECT event_id FROM note") == [("2",)]


def test_a_history_that_can_not_be_written_takes_no_mark(path: Path) -> None:
    with forever(path) as history:
        fill(history, 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SinkError, match="can't be written at present"):
                Notes(history).mark("1", "right")
        Notes(history).mark("1", "right")
    assert notes_of(path)["1"][0] == "right"


def test_a_history_of_the_first_version_gets_notes_and_loses_nothing(old: Path) -> None:
    columns = (
        "id, kind, label, source, score, started_at, ended_at, clip, start_sample, end_sample, seq, published"
    )
    before = ask(old, f"SELECT {columns} FROM event ORDER BY seq")
    with forever(old) as history:
        assert ask(old, f"SELECT {columns} FROM event WHERE seq <= 9 ORDER BY seq") == before
        assert [event.id for event in history.pending(10)] == ["a"], "what waited still waits"
        Notes(history).mark("a", "wrong")
    assert notes_of(old) == {"a": ("wrong", False), "b": (None, False)}
    assert ask(old, "PRAGMA user_version") == [(4,)]
    with forever(old):
        assert notes_of(old)["a"] == ("wrong", False), "the second start changes nothing"


def test_a_history_of_the_first_version_is_read_and_stays_what_it_is(old: Path) -> None:
    assert notes_of(old) == {"a": (None, False), "b": (None, False)}
    assert isinstance(page.read_one(old, "a"), Occurrence)
    assert database.count_events(old) == (3, 1)
    assert ask(old, "PRAGMA user_version") == [(1,)]


def test_a_change_of_the_version_that_fails_leaves_the_old_one(old: Path) -> None:
    ask(old, "CREATE TABLE note (unrelated)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        database.open_to_write(old)
    assert ask(old, "PRAGMA user_version") == [(1,)]
    assert ask(old, "SELECT count(*) FROM event") == [(3,)]


def test_a_history_that_an_older_program_writes_is_refused_and_left_alone(old: Path) -> None:
    """The older program holds the same lock as this one."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDING,
            str(old),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(
            SinkError, match="another Earshot writes the history .*: set history to another file"
        ):
            forever(old)
        assert ask(old, "PRAGMA user_version") == [(1,)]
    finally:
        holder.communicate(timeout=PATIENCE_SECONDS)
    forever(old).close()
    assert ask(old, "PRAGMA user_version") == [(4,)]

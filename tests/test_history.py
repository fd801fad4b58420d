"""The history: events on the disk, whatever happens to the disk, and what is read from it."""

import csv
import io
import json
import logging
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mosquitto import Mosquitto
from support.outbox_driver import kill_again_and_again
from support.system import require
from typer.testing import CliRunner, Result

from earshot.cli import add_commands
from streamer.errors import SettingsError, SinkError
from streamer.messages import Event, Losses, SourceStatus
from streamer.sinks.history import database
from streamer.sinks.history.occurrences import (
    occurrences_query,
    parse_since,
    read_occurrences,
    write_csv,
    write_json,
    write_table,
)
from streamer.sinks.history.store import History

ROOT = Path(__file__).resolve().parent.parent
NOW = 1_772_366_400.25
DAY_SECONDS = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite3"


def started(number: int, at: float | None = None, **changes: str) -> Event:
    time = NOW + 10.0 * number if at is None else at
    event = Event(str(number), "started", "Dog", "door", 0.5, time, start_sample=16_000)
    return replace(event, **changes)  # type: ignore[arg-type]


def ended(event: Event, seconds: float = 2.5) -> Event:
    return replace(event, kind="ended", score=0.75, ended_at=event.started_at + seconds, end_sample=56_000)


def forever(path: Path, events: int = 100_000) -> History:
    return History(path, days=36_500.0, events=events)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_events_wait_in_order_until_they_are_published_also_after_a_restart(path: Path) -> None:
    first, second, third = started(1), ended(started(1)), ended(started(2))
    with forever(path) as history:
        for event in (first, second, third):
            history.accept(event)
        assert history.pending(2) == [first, second]
        history.mark_published([first])
        assert history.pending(10) == [second, third]
    with forever(path) as history:
        assert history.pending(10) == [second, third]
        history.mark_published([second, third])
        assert history.pending(10) == []
        history.accept(third)  # again: the same event is one row
        assert history.pending(10) == []
    assert ask(path, "SELECT id, kind, published FROM event ORDER BY seq") == [
        ("1", "started", 1),
        ("1", "ended", 1),
        ("2", "ended", 1),
    ]


def test_an_accepted_event_is_on_disk_before_accept_returns(path: Path) -> None:
    with forever(path) as history:
        history.accept(started(1))
        history.accept(SourceStatus("door", online=True))
        copy = path.with_name("copy.sqlite3")
        for suffix in ("", "-wal"):  # what a killed process leaves behind
            copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    assert ask(copy, "SELECT id FROM event") == [("1",)]


def test_only_its_owner_can_read_any_of_its_files(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    with forever(path) as history:
        history.accept(started(1))
        files = sorted(path.parent.iterdir())
        assert len(files) == 4
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_without_a_broker_nothing_waits_also_when_one_is_set_later(path: Path) -> None:
    with History(path, days=36_500.0, outgoing=False) as history:
        history.accept(started(1))
        assert history.pending(10) == []
    with forever(path) as history:
        assert history.pending(10) == []
    assert len(list(read_occurrences(path))) == 1


def test_a_second_process_is_refused_until_the_first_ends(path: Path) -> None:
    program = f"from pathlib import Path\nfrom streamer.sinks.history.store import History\nHistory(Path({str(path)!r}))"
    with forever(path):
        with pytest.raises(
            SinkError, match="another Earshot writes the history .*: set history to another file, or to off"
        ):
            forever(path)
        second = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert "another Earshot writes the history" in second.stderr
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_a_file_that_is_not_a_history_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soup')")
    before = path.read_bytes()
    with pytest.raises(SinkError, match="is not a history of Earshot"):
        History(path)
    with pytest.raises(SinkError, match="is not a history of Earshot"):
        list(read_occurrences(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_a_path_that_is_not_a_regular_file_is_refused_and_left_alone(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    for use in (History, lambda file: list(read_occurrences(file))):
        with pytest.raises(SinkError, match="is not a regular file: set history to another"):
            use(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_link_to_a_missing_history_is_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.sqlite3")
    with pytest.raises(SinkError, match="there is no history .* yet"):
        list(read_occurrences(path))
    with forever(path) as history:
        history.accept(started(1))
    assert len(list(read_occurrences(tmp_path / "elsewhere.sqlite3"))) == 1


def test_a_history_of_a_newer_version_is_refused(path: Path) -> None:
    forever(path).close()
    ask(path, "PRAGMA user_version = 99")
    with pytest.raises(SinkError, match="newer Earshot"):
        History(path)


@pytest.mark.parametrize("damage", ["the beginning", "the middle", "cut"])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with forever(path) as history:
        for number in range(200):
            history.accept(started(number))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        start = 0 if damage == "the beginning" else 2 * 4096
        content[start : start + 4096] = bytes([0xA5]) * 4096
    path.write_bytes(content)
    with forever(path) as history:
        history.accept(started(1000))
        assert history.pending(10) == [started(1000)]
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content
    (line,) = warnings_of(caplog)
    assert line == f"history {path}: damaged; renamed to {aside}, starting a new one"


def test_a_file_damaged_while_it_is_used_is_moved_aside_too(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with forever(path) as history:
        for number in range(100):
            history.accept(started(number))
        assert history._file._connection is not None
        history._file._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        path.write_bytes(bytes([0xA5]) * size)
        history._file._connection.execute("PRAGMA shrink_memory")
        history.accept(started(1000))
        assert history.pending(200) == [*map(started, range(100)), started(1000)]
        assert history.losses().unsaved_events == 0
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    changed, damaged = warnings_of(caplog)
    assert "changed by another program" in changed
    assert "damaged" in damaged
    forever(path).close()  # nobody holds it any more


def test_on_a_full_disk_events_stay_in_memory_in_order_and_are_written_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with forever(path) as history:
        history.accept(started(0))
        assert history._file._connection is not None
        history._file._connection.execute("PRAGMA max_page_count = 1")  # SQLite takes it for a full disk
        late = [started(number, label="x" * 5000) for number in range(1, 30)]
        for event in late:
            history.accept(event)
        assert history.losses().unsaved_events > 0
        everything = [started(0), *late]
        assert history.pending(100) == everything
        history.mark_published(everything[:29])
        assert history.pending(100) == everything[29:]
        (line,) = warnings_of(caplog)
        assert f"history {path}: can't be written (database or disk is full); " in line
        history._file._connection.execute("PRAGMA max_page_count = 100000")
        history.accept(started(99))
        assert history.losses().unsaved_events == 0
        assert history.pending(100) == [everything[29], started(99)]
        assert caplog.messages[-1] == f"history {path}: writing again"
    with forever(path) as history:
        assert history.pending(2) == [everything[29], started(99)]


def test_a_history_that_another_program_has_locked_is_not_taken_for_a_full_disk(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with forever(path) as history:
        history.accept(started(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            history.accept(started(1))
            assert history.losses().unsaved_events == 1
        (line,) = warnings_of(caplog)
        assert "can't be written (another program has locked it)" in line
        assert line.endswith("End the other program that uses it, or set history to another file")
        history.accept(started(2))
        assert history.losses().unsaved_events == 0


def test_events_of_an_earlier_run_wait_on_when_a_newer_one_is_acknowledged(path: Path) -> None:
    earlier = [ended(started(number)) for number in range(3)]
    with forever(path) as history:
        for event in earlier:
            history.accept(event)
    aside = path.parent.rename(path.parent.with_name("aside"))
    path.parent.write_text("a file where a folder should be")
    with forever(path) as history:
        history.accept(ended(started(10)))
        batch = history.pending(10)
        assert batch == [ended(started(10))]
        path.parent.unlink()
        aside.rename(path.parent)
        history.accept(ended(started(11)))  # both are behind the earlier ones now
        history.mark_published(batch)
        assert history.pending(10) == [*earlier, ended(started(11))]
        assert history.losses() == Losses()


def test_acknowledgements_that_can_not_be_written_are_kept_and_written_later(path: Path) -> None:
    events = [ended(started(number)) for number in range(6)]
    with forever(path) as history:
        for event in events:
            history.accept(event)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            history.mark_published(events[:2])
            history.mark_published([events[4]])
            assert history.pending(10) == [events[2], events[3], events[5]]
            assert history.pending(2) == events[2:4]
        history.keep(days=36_500.0, events=3)
        history.accept(ended(started(6)))  # deletes the four oldest
        assert history.losses() == Losses(undelivered_events=2)
        history.mark_published([events[5]])
    with forever(path) as history:
        assert [event.id for event in history.pending(10)] == ["6"]


def test_an_unwritable_folder_is_tried_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("a file where a folder should be")
    with forever(path) as history:
        history.accept(started(1))
        assert history.pending(10) == [started(1)]
        assert (history.losses().unsaved_events, len(warnings_of(caplog))) == (1, 1)
        path.parent.unlink()
        history.accept(started(2))
        assert history.losses().unsaved_events == 0
        assert history.pending(10) == [started(1), started(2)]
    assert len(ask(path, "SELECT id FROM event")) == 2


def test_memory_for_unsaved_events_is_bounded_and_dropped_ones_are_counted(path: Path) -> None:
    path.parent.write_text("a file where a folder should be")
    with forever(path) as history:
        for number in range(1100):
            history.accept(started(number))
        assert history.losses() == Losses(unsaved_events=1000, lost_events=100, undelivered_events=100)
        assert history.pending(1)[0] == started(100)


def test_the_oldest_are_deleted_at_the_limit_and_unpublished_ones_are_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with forever(path, events=100) as history:
        first = [started(number) for number in range(50)]
        for event in first:
            history.accept(event)
        history.mark_published(history.pending(100))
        for number in range(50, 400):
            history.accept(started(number))
        kept = [event.id for event in history.pending(1000)]
        assert 100 <= len(kept) < 200
        assert kept[-1] == "399"
        assert history.losses().undelivered_events == 350 - len(kept)
    assert len(warnings_of(caplog)) == 1
    with forever(path, events=10) as history:
        assert [event.id for event in history.pending(1000)] == [str(n) for n in range(390, 400)]


def test_other_limits_hold_from_the_next_event_on(path: Path) -> None:
    with forever(path) as history:
        for number in range(20):
            history.accept(started(number))
        history.keep(days=36_500.0, events=5)
        history.accept(started(20))
        assert [event.id for event in history.pending(1000)] == [str(number) for number in range(16, 21)]


def test_other_limits_hold_though_no_event_comes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sinks.history.store._CHECK_SECONDS", 0.0)
    monkeypatch.setattr("streamer.sinks.history.database._MAX_PRUNED", 1)
    now = time.time()
    with forever(path) as history:
        for number, days in enumerate([9.0, 8.0, 1.0]):
            history.accept(ended(started(number, now - days * DAY_SECONDS)))
        history.accept(SourceStatus("mic", online=True))
        assert [event.id for event in history.pending(10)] == ["0", "1", "2"]
        history.keep(days=7.0, events=1000)
        for _ in range(3):
            history.accept(SourceStatus("mic", online=True))
        assert [event.id for event in history.pending(10)] == ["2"]
        assert history.losses().undelivered_events == 2
        history._pruning._time_due._next = 0.0  # an hour later
        history.keep_seconds = 0.5 * DAY_SECONDS
        history.accept(SourceStatus("mic", online=True))
        assert history.pending(10) == []


def test_dates_in_the_future_keep_no_old_events(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sinks.history.database._MAX_PRUNED", 3)
    now = time.time()
    with forever(path) as history:
        for number in range(5):
            history.accept(ended(started(number, now + 400 * DAY_SECONDS)))
        history.accept(ended(started(5, now - 60 * DAY_SECONDS)))
    with History(path, days=30.0, outgoing=True) as history:
        assert [event.id for event in history.pending(10)] == ["0", "1", "2", "3", "4"]


def test_events_are_deleted_when_they_are_too_old(path: Path) -> None:
    now = time.time()
    with forever(path) as history:
        for number, days in enumerate([9.0, 8.0, 6.0, 1.0]):
            history.accept(ended(started(number, now - days * DAY_SECONDS)))
    with History(path, days=7.0) as history:
        assert [event.id for event in history.pending(10)] == ["2", "3"]
        assert history.losses().undelivered_events == 2


def test_an_event_with_a_wrong_date_deletes_no_other(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = time.time()
    with forever(path) as history:
        for number, at in enumerate([now - 3600.0, now - 3599.0, 1000.0, now - 60.0]):
            history.accept(started(number, at))
            history.accept(ended(started(number, at)))
        history.mark_published(history.pending(2))
    with History(path) as history:
        assert [(event.id, event.kind) for event in history.pending(10)] == [
            (number, kind) for number in ("1", "3") for kind in ("started", "ended")
        ]
        assert history.losses().undelivered_events == 2
    (line,) = warnings_of(caplog)
    assert "2 events so far were deleted before the broker acknowledged them" in line


def test_any_number_of_old_events_is_deleted_when_a_history_is_opened(path: Path) -> None:
    now = time.time()
    with closing(database.open_to_write(path)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            f"INSERT INTO event ({database.COLUMNS}, published) VALUES ({'?, ' * len(database.COLUMNS.split(','))}1)",
            (database.to_row(ended(started(n, now - 3600.0 * (n % 3)))) for n in range(2500)),
        )
        connection.execute("COMMIT")
    with History(path, days=1.5 / 24.0, events=600) as history:
        assert history.losses().undelivered_events == 0
    assert ask(path, "SELECT min(seq), count(*) FROM event") == [(1901, 400)]


def test_a_sound_left_on_by_a_killed_program_is_ended_by_the_next_start(path: Path) -> None:
    siren, dog, bell = started(1, label="Siren"), started(2), started(9, label="Bell")
    with forever(path) as history:
        for event in (siren, dog, ended(dog, 30.0), bell):
            history.accept(event)
        history.mark_published(history.pending(10))
    with forever(path) as history:
        history.accept(started(20))
        *ends, new = history.pending(10)
    assert ends == [replace(event, kind="ended", ended_at=bell.started_at) for event in (siren, bell)]
    assert new == started(20)
    with forever(path) as history:  # once each
        assert [(event.id, event.kind) for event in history.pending(10)][3:] == [("20", "ended")]
    assert "still on" not in run_events("--history", path).stdout


def test_no_end_lies_in_the_future_nor_before_its_beginning(path: Path) -> None:
    now = time.time()
    with forever(path) as history:
        for event in (started(1, now - 60.0), ended(started(2, now + DAY_SECONDS)), started(3, now + 60.0)):
            history.accept(event)
    before = time.time()
    forever(path).close()
    (past,), (future,) = ask(
        path, "SELECT ended_at FROM event WHERE kind = 'ended' AND id != '2' ORDER BY id"
    )
    assert isinstance(past, float)
    assert before <= past <= time.time()
    assert future == now + 60.0


@pytest.mark.parametrize("outgoing", [True, False])
def test_an_end_waits_for_the_broker_if_its_beginning_did(path: Path, outgoing: bool) -> None:
    for number, had_broker in enumerate([True, False]):
        with History(path, days=36_500.0, outgoing=had_broker) as history:
            history.accept(started(number))
            history.mark_published([started(number)])
        with closing(sqlite3.connect(path)) as connection, connection:  # as if each had been killed only now
            connection.execute("DELETE FROM event WHERE kind = 'ended'")
    with History(path, days=36_500.0, outgoing=outgoing) as history:
        assert [event.id for event in history.pending(10)] == ["0"] * outgoing
    assert len(ask(path, "SELECT id FROM event WHERE kind = 'ended'")) == 2


def test_a_sound_left_on_is_ended_as_soon_as_the_disk_allows(path: Path) -> None:
    with forever(path) as history:
        history.accept(started(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # nobody else can write
        history = forever(path)
        assert history.pending(10) == [started(1)]
    with history:
        history.accept(started(2))
        assert [(event.id, event.kind) for event in history.pending(10)] == [
            ("1", "started"),
            ("1", "ended"),
            ("2", "started"),
        ]


def test_threads_may_write_and_publish_at_the_same_time(path: Path) -> None:
    published: list[str] = []
    with forever(path) as history:

        def write() -> None:
            for number in range(100):
                history.accept(started(number))

        writer = threading.Thread(target=write)
        writer.start()
        while len(published) < 100:
            batch = history.pending(7)
            history.mark_published(batch)
            published += [event.id for event in batch]
        writer.join()
    assert published == [str(number) for number in range(100)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.builds(
            Event,
            id=st.uuids().map(str),
            kind=st.sampled_from(["started", "ended"]),
            label=st.text(min_size=1),
            source=st.text(min_size=1),
            score=st.floats(0, 1),
            started_at=st.floats(0, 4e9),
            ended_at=st.none() | st.floats(0, 4e9),
            clip=st.none() | st.text(),
            start_sample=st.none() | st.integers(0, 2**60),
            end_sample=st.none() | st.integers(0, 2**60),
        ),
        max_size=5,
    )
)
def test_every_event_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    with forever(tmp_path_factory.mktemp("history") / "history.sqlite3") as history:
        for event in events:
            history.accept(event)
        assert history.pending(10) == events


def test_a_name_that_is_not_utf_8_is_kept_with_a_question_mark(path: Path) -> None:
    with forever(path) as history:
        history.accept(started(1, source="caf\udce9.wav"))
        assert history.pending(1)[0].source == "caf?.wav"
    assert [event.id for event in read_occurrences(path, sources=["caf\udce9.wav"])] == ["1"]


@pytest.mark.system
def test_killed_again_and_again_it_loses_nothing_and_everything_arrives_in_order(
    path: Path, tmp_path: Path
) -> None:
    require("mosquitto")
    with Mosquitto(tmp_path) as broker:
        outcome = kill_again_and_again(path, broker.port, 15, random.Random(0))
    assert outcome.integrity == {"ok"}
    assert outcome.unpublished == 0
    assert len(outcome.accepted) > 100
    assert set(outcome.accepted) <= set(outcome.stored)
    assert outcome.received == outcome.stored


@pytest.fixture
def full(path: Path) -> Path:
    """A history of a dog that barked, a siren that is still on, and a bell in the kitchen."""
    with forever(path) as history:
        dog, siren = started(1, clip="/clips/1.flac"), started(2, label="Siren")
        bell = started(3, label="Bell, or chime", source="kitchen")
        for event in (dog, siren, ended(dog), bell, ended(bell, 3725.0)):
            history.accept(event)
    return path


def test_the_beginning_and_the_end_of_a_sound_are_one_occurrence(full: Path) -> None:
    dog, siren, bell = read_occurrences(full)
    assert (dog.kind, dog.score, dog.ended_at) == ("ended", 0.75, dog.started_at + 2.5)
    assert (siren.kind, siren.ended_at) == ("started", None)
    assert bell.label == "Bell, or chime"


def test_occurrences_are_chosen_by_time_sound_and_source(full: Path) -> None:
    def labels(**wanted: object) -> list[str]:
        return [event.label for event in read_occurrences(full, **wanted)]  # type: ignore[arg-type]

    assert labels(labels=["dog", "SIREN"]) == ["Dog", "Siren"]
    assert labels(sources=["Kitchen"]) == ["Bell, or chime"]
    assert labels(labels=["caf\udce9"], sources=["caf\udce9"]) == []
    assert labels(since=NOW + 20.0) == ["Siren", "Bell, or chime"]
    assert labels(since=NOW + 20.0, labels=["Dog"]) == []


def test_a_sound_is_found_in_any_case_of_any_script(path: Path) -> None:
    with forever(path) as history:
        for number, label in enumerate(("Ärger", "Straße", "Собака", "dog")):
            history.accept(started(number, label=label, source="KÜCHE"))
    for wanted in ("ärger", "A\u0308RGER", "STRASSE", "собака", "DOG"):
        assert len(list(read_occurrences(path, labels=[wanted], sources=["küche"]))) == 1, wanted


def test_an_end_without_its_beginning_is_still_an_occurrence(full: Path) -> None:
    with closing(sqlite3.connect(full)) as connection, connection:
        connection.execute("DELETE FROM event WHERE seq = 1")
    assert [event.label for event in read_occurrences(full)] == ["Dog", "Siren", "Bell, or chime"]


def test_a_history_is_read_row_by_row_along_an_index(full: Path) -> None:
    query, values = occurrences_query(0.0, ["Dog"], ["door"])
    with closing(sqlite3.connect(full)) as connection:
        connection.create_function("folded", 1, str.casefold)
        plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
    assert "event_by_time" in plan
    assert "TEMP B-TREE" not in plan


def test_a_history_can_be_read_while_it_is_written(path: Path) -> None:
    with forever(path) as history:
        history.accept(started(1))
        assert len(list(read_occurrences(path))) == 1


def test_a_missing_or_damaged_history_is_reported(path: Path) -> None:
    with pytest.raises(SinkError, match="there is no history .* yet"):
        list(read_occurrences(path))
    path.parent.mkdir()
    path.write_bytes(b"\xa5" * 8192)
    with pytest.raises(SinkError, match="can't be read .it is damaged.: move it away"):
        list(read_occurrences(path))


def test_the_table_shows_local_times_and_what_is_still_on(full: Path) -> None:
    stream = io.StringIO()
    assert write_table(read_occurrences(full), stream) == 3
    head, dog, siren, bell = stream.getvalue().splitlines()
    began = datetime.fromtimestamp(NOW + 10.0).strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ006 - local is meant
    assert head == "began                    lasted  score  source · sound"
    assert dog == f"{began}       2.5 s   0.75  door · Dog · /clips/1.flac"
    assert "still on   0.50  door · Siren" in siren
    assert " 1:02:05   0.75  kitchen · Bell, or chime" in bell


def test_csv_and_json_say_the_same_in_utc(full: Path) -> None:
    table, lines = io.StringIO(), io.StringIO()
    assert write_csv(read_occurrences(full), table) == write_json(read_occurrences(full), lines) == 3
    payloads = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert payloads[0] == {
        "id": "1",
        "source": "door",
        "label": "Dog",
        "score": 0.75,
        "started_at": "2026-03-01T12:00:10.250Z",
        "ended_at": "2026-03-01T12:00:12.750Z",
        "length_seconds": 2.5,
        "clip": "/clips/1.flac",
        "mark": None,
        "clip_kept": False,
        "confirmed": True,
        "fast_score": None,
    }
    assert (payloads[1]["ended_at"], payloads[1]["length_seconds"]) == (None, None)
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["label"] for row in rows] == ["Dog", "Siren", "Bell, or chime"]
    for row, payload in zip(rows, payloads, strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in payload.items()}


@pytest.mark.parametrize(
    ("text", "seconds_ago"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("1.5d", 129_600), ("2w", 1_209_600)]
)
def test_since_takes_a_length_of_time(text: str, seconds_ago: float) -> None:
    now = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
    assert parse_since(text, now) == now.timestamp() - seconds_ago


def test_since_takes_a_date_or_a_time_which_is_local_unless_it_says_otherwise() -> None:
    now = datetime.now().astimezone()
    assert (
        parse_since("2026-11-23T18:30:00Z", now)
        == datetime.fromisoformat("2026-11-23T18:30+00:00").timestamp()
    )
    local = datetime.fromisoformat("2026-11-23").astimezone()
    assert parse_since("2026-11-23", now) == local.timestamp()
    with pytest.raises(ValueError, match="'yesterday' is not a time: write 90s"):
        parse_since("yesterday", now)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def run_events(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_commands(app)
    return CliRunner().invoke(app, ["events", *map(str, arguments)])


@pytest.mark.usefixtures("environment")
def test_the_command_lists_the_history_that_is_named_or_set(full: Path, tmp_path: Path) -> None:
    listed = run_events("--history", full, "--label", "dog", "--json")
    assert json.loads(listed.stdout)["label"] == "Dog"
    assert (listed.exit_code, listed.stderr) == (0, "")
    config = tmp_path / "earshot.toml"
    config.write_text(f'history = "{full}"\n')
    assert run_events("--config", config).stdout.count("\n") == 4
    nothing = run_events("--config", config, "--since", "1s")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "No events found" in nothing.stderr


@pytest.mark.usefixtures("environment")
def test_the_command_reports_what_is_wrong() -> None:
    assert "'soon' is not a time" in run_events("--since", "soon").stderr
    assert "give either --csv or --json" in run_events("--csv", "--json").stderr
    for arguments, error, complaint in [
        (["--history", "off"], SettingsError, "the history is off"),
        (["--history", "/dev/null"], SinkError, "null"),
    ]:
        with pytest.raises(error, match=complaint):
            raise run_events(*arguments).exception or AssertionError


@pytest.mark.usefixtures("environment")
def test_no_history_yet_is_no_failure() -> None:
    for format_, lines in (((), 0), (("--json",), 0), (("--csv",), 1)):
        listed = run_events(*format_)
        assert (listed.exit_code, listed.stdout.count("\n")) == (0, lines)


@pytest.mark.usefixtures("environment")
def test_a_reader_that_has_read_enough_ends_the_command_quietly(path: Path) -> None:
    with forever(path) as history:
        for number in range(200):
            history.accept(started(number, clip="a long way to go" * 100))
    result = subprocess.run(
        f"set -o pipefail; {sys.executable} {ROOT / 'run_live.py'} events --history {path} --csv | head -2",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 2

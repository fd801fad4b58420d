"""Files that one program writes: without locks, deleted, replaced and overwritten while they are used."""

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.nolocks import without_locks
from support.program import ROOT
from support.waiting import PATIENCE_SECONDS

from streamer.errors import SinkError
from streamer.messages import Event, SourceStatus, Tagging
from streamer.sinks.history import store
from streamer.sinks.history.database import count_events
from streamer.sinks.history.occurrences import read_occurrences
from streamer.sinks.history.store import History
from streamer.sinks.locks import HeldError, WriterLock, is_locked
from streamer.sinks.score_log import ScoreLog, reading_scores


@pytest.fixture(autouse=True)
def quick_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CHECK_SECONDS", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite3"


def started(number: int) -> Event:
    return Event(str(number), "started", "Dog", "kitchen", 0.5, time.time() - 60.0 + number)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def numbers(events: object) -> list[str]:
    return [event.id for event in events]  # type: ignore[attr-defined]


def delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def delete_only_the_file(path: Path) -> None:
    path.unlink()


def replace_by_another_history(path: Path) -> None:
    with History(path.with_name("other.sqlite3"), outgoing=True) as other:
        other.accept(started(100))
    path.with_name("other.sqlite3").replace(path)


def overwrite_with_another_history(path: Path) -> None:
    with History(path.with_name("other.sqlite3"), outgoing=True) as other:
        other.accept(started(100))
    shutil.copyfile(path.with_name("other.sqlite3"), path)


def overwrite_with_text(path: Path) -> None:
    path.write_text("nothing of use\n" * 1000)


def delete_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    "harm",
    [
        delete,
        delete_only_the_file,
        replace_by_another_history,
        overwrite_with_another_history,
        overwrite_with_text,
        delete_the_folder,
    ],
)
def test_a_history_that_is_deleted_or_replaced_goes_on_in_its_place_with_all_events_that_wait(
    path: Path, caplog: pytest.LogCaptureFixture, harm: object
) -> None:
    with History(path) as before:
        for number in range(3):
            before.accept(started(number))
        before.mark_published(before.pending(1))
    caplog.clear()
    with History(path) as history:
        history.accept(started(3))
        harm(path)  # type: ignore[operator]
        history.accept(SourceStatus("kitchen", online=True))
        assert any("deleted, replaced or changed" in line for line in said(caplog))
        history.accept(started(4))
        waiting = numbers(history.pending(9))
        assert [number for number in waiting if number in {"3", "4"}] == ["3", "4"]
        if harm in {delete, delete_only_the_file, replace_by_another_history, delete_the_folder}:
            assert {"1", "2"} <= set(waiting), "the file was still open"
        assert history.losses().unsaved_events == 0
    with History(path) as after:
        assert numbers(after.pending(99))[: len(waiting)] == waiting
    found = {event.id for event in read_occurrences(path)}
    assert set(waiting) <= found


def test_what_was_acknowledged_does_not_go_again_after_the_file_was_deleted(path: Path) -> None:
    with History(path) as history:
        history.accept(started(1))
        history.accept(started(2))
        history.mark_published(history.pending(1))
        delete(path)
        history.accept(SourceStatus("kitchen", online=True))
        assert numbers(history.pending(9)) == ["2"]


_SECOND = """
import sys
from pathlib import Path
from streamer.errors import SinkError
from streamer.sinks.history.store import History
try:
    History(Path(sys.argv[1])).close()
except SinkError as error:
    print(error)
"""


def second(path: Path, environment: dict[str, str] | None = None) -> str:
    """Open a history in another process; return its complaint."""
    return subprocess.run(
        [sys.executable, "-c", _SECOND, path],
        env=os.environ | (environment or {}),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    ).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the byte of the file itself is locked on Linux only")
def test_a_second_program_is_refused_also_when_the_lock_file_was_deleted(path: Path) -> None:
    with History(path) as history:
        history.accept(started(1))
        path.with_name(f"{path.name}.lock").unlink()
        assert second(path).startswith("another Earshot writes the history ")
        history.accept(started(2))
    assert not second(path)
    assert count_events(path)[0] == 4, "the next start ended both sounds"


def test_a_deleted_lock_file_is_made_again(path: Path) -> None:
    with History(path) as history:
        history.accept(started(1))
        path.with_name(f"{path.name}.lock").unlink()
        history.accept(SourceStatus("kitchen", online=True))
        assert path.with_name(f"{path.name}.lock").exists()
        assert numbers(history.pending(9)) == ["1"]


_LOOK = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as connection:
    print(connection.execute("SELECT count(*) FROM event").fetchone()[0])
"""


def test_a_program_that_looks_into_the_history_does_not_delete_what_is_only_in_its_log(path: Path) -> None:
    def counted() -> int:
        command = [sys.executable, "-c", _LOOK, str(path)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    with History(path) as before:
        before.accept(started(1))
        before.accept(replace(started(1), kind="ended", ended_at=time.time()))
    with History(path) as history:
        history.accept(SourceStatus("kitchen", online=True))
        assert count_events(path)[0] == 2, "as the page and the window read it"
        assert counted() == 2, "it closes the file as the last one, unless this process has locked it"
        history.accept(started(2))
        assert counted() == count_events(path)[0] == 3


def test_a_lock_is_held_by_one_and_free_after_its_release(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    first, other = WriterLock(file), WriterLock(file)
    assert not is_locked(file)
    first.acquire()
    assert is_locked(file)
    with pytest.raises(HeldError):
        other.acquire()
    first.release()
    other.acquire()
    other.release()
    assert not is_locked(file)


_WITHOUT_LOCKS = """
import json, logging, subprocess, sys, time
from pathlib import Path
from streamer.doctor.disk import check_history
from streamer.messages import Event
from streamer.sinks.history.occurrences import read_occurrences
from streamer.sinks.history.store import History
logging.basicConfig(format="%(message)s", stream=sys.stderr)
path = Path(sys.argv[1])
with History(path) as history:
    for number in range(3):
        history.accept(Event(str(number), "started", "Dog", "kitchen", 0.5, time.time() - 60.0 + number))
    history.mark_published(history.pending(1))
    unsaved = history.losses().unsaved_events
    second = subprocess.run([sys.executable, "-c", sys.argv[2], path], capture_output=True, text=True, check=True).stdout
with History(path) as history:
    waiting = [event.id for event in history.pending(9)]
read = [event.id for event in read_occurrences(path)]
result = check_history(path)
print(json.dumps([unsaved, second, waiting, read, result.state, result.found, result.advice]))
"""


@pytest.mark.system
@pytest.mark.parametrize("existed", [False, True])
def test_on_a_disk_without_locks_the_history_works_and_the_cause_is_named(
    path: Path, tmp_path: Path, existed: bool
) -> None:
    path.parent.mkdir()
    if existed:
        History(path).close()
    environment = os.environ | without_locks(path.parent, tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(_WITHOUT_LOCKS), path, _SECOND],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    unsaved, other, waiting, read, state, found, advice = json.loads(done.stdout)
    assert unsaved == 0
    assert other.startswith("another Earshot writes the history ")
    assert waiting[:2] == ["1", "2"]
    assert sorted(read) == ["0", "1", "2"]
    assert (state, "has no locks" in found, "local disk" in advice) == ("warning", True, True)
    assert done.stderr.count("its file system has no locks") == 2, "once per start"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with History(path) as history:  # and on a disk with locks again
        assert numbers(history.pending(2)) == ["1", "2"]


def test_a_history_held_by_another_program_is_still_refused(path: Path) -> None:
    with History(path), pytest.raises(SinkError, match="another Earshot writes"):
        History(path)


@pytest.mark.parametrize(
    "replace", [Path.unlink, lambda path: shutil.copy(path, f"{path}.x") and Path(f"{path}.x").replace(path)]
)
def test_a_score_log_that_is_deleted_or_replaced_goes_on_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replace: Callable[[Path], object]
) -> None:
    path = tmp_path / "scores.sqlite3"

    def tagging(second: int) -> Tagging:
        scores = np.array([0.1, 0.2], np.float32)
        return Tagging("kitchen", 0, 16_000 * second, 1e9 + second, scores, -30.0, None)

    with ScoreLog(path, model="m", labels=["a", "b"]) as log:
        log.accept(tagging(1))
        replace(path)
        log.accept(tagging(2))
        log.accept(tagging(3))
        assert log.losses().unlogged_taggings == 0
    with reading_scores(path) as logged:
        ends = [message.end_sample for message in logged.messages() if isinstance(message, Tagging)]
    assert ends[-2:] == [32_000, 48_000]
    (line,) = said(caplog)
    assert "deleted or replaced" in line

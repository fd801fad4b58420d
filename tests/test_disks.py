"""Disks that are full or read-only, and the same disks when that is over: real ones, small."""

import json
import logging
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import openvino
import pytest
from support.disks import Disk, mounted
from support.mosquitto import Mosquitto, Subscriber
from support.program import ChildProcess, command
from support.system import require
from support.waiting import START_SECONDS, wait_until

from models.selection.json_cache import JsonCache
from streamer.errors import SettingsError
from streamer.live.switches import Switches
from streamer.messages import NO_LOSSES, Event, Health, Losses, Tagging
from streamer.settings.file import write_atomically
from streamer.sinks.clips.folder import ClipFolder
from streamer.sinks.history import store as history_module
from streamer.sinks.history.occurrences import read_occurrences
from streamer.sinks.history.store import History
from streamer.sinks.score_log import ScoreLog, reading_scores

pytest_plugins = ["test_program"]
pytestmark = pytest.mark.system

NOW = 1_772_366_400.0
HEALTH = Health(0.0, 0, 0, 0, 0.0, 0, None, None, None, "", "", "none")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder) as disk:
        yield disk


def started(number: int) -> Event:
    return Event(str(number), "started", "Dog" * 50, "x", 0.5, NOW + number)


def tagging(second: int) -> Tagging:
    scores = np.random.default_rng(second).uniform(0, 1, 2000).astype(np.float32)
    return Tagging("x", max(0, second - 1) * 16_000, second * 16_000, NOW + second, scores, -20.0, None)


@pytest.fixture
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_RETRY_SECONDS", 0.0)


def full(disk: Disk) -> None:
    disk.fill()


def read_only(disk: Disk) -> None:
    disk.protect()


def well_again(disk: Disk) -> None:
    disk.protect(against_writing=False)
    with suppress(FileNotFoundError):
        disk.make_room()


spoilt = pytest.mark.parametrize("spoil", [full, read_only])


@spoilt
@pytest.mark.usefixtures("quick_retry")
def test_a_history_that_finds_no_disk_begins_by_itself_when_there_is_one(
    disk: Disk, spoil: Callable[[Disk], None], caplog: pytest.LogCaptureFixture
) -> None:
    file = disk.path / "earshot" / "history.sqlite3"
    spoil(disk)
    with History(file, days=36_500) as history:
        for number in range(3):
            history.accept(started(number))
        history.accept(HEALTH)
        assert history.losses() == Losses(unsaved_events=3)
        assert history.pending(10) == [started(number) for number in range(3)]
        well_again(disk)
        history.accept(HEALTH)  # nothing happens for hours, and yet it is written
        assert history.losses().unsaved_events == 0
    assert len(caplog.records) == 1
    with History(file, days=36_500) as history:
        assert history.pending(10)[:3] == [started(number) for number in range(3)]


@pytest.mark.usefixtures("quick_retry")
def test_a_disk_that_fills_while_events_come_loses_none_of_them(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with History(disk.path / "history.sqlite3", days=36_500) as history:
        for number in range(10):
            history.accept(started(number))
        disk.fill()
        for number in range(10, 500):
            history.accept(started(number))
        assert history.losses().unsaved_events > 100
        disk.make_room()
        history.accept(HEALTH)
        assert history.losses() == NO_LOSSES
        assert history.pending(1000) == [started(number) for number in range(500)]
    warning, relief = caplog.messages
    assert "1 events in memory, 0 lost; listening goes on" in warning
    assert relief.endswith(": writing again")


@spoilt
def test_a_score_log_that_finds_no_disk_begins_when_there_is_one(
    disk: Disk, spoil: Callable[[Disk], None], caplog: pytest.LogCaptureFixture
) -> None:
    file = disk.path / "scores.sqlite3"
    spoil(disk)
    with ScoreLog(file, model="big", labels=[str(n) for n in range(2000)]) as log:
        log.accept(tagging(1))
        assert log.losses().unlogged_taggings == 1
        well_again(disk)
        log.accept(tagging(2))
        assert log.losses().unlogged_taggings == 1
    assert len(caplog.records) == 1
    with reading_scores(file) as logged:
        assert [message.end_sample for message in logged.messages() if isinstance(message, Tagging)] == [
            32_000
        ]


def test_a_score_log_continues_after_a_full_disk(disk: Disk) -> None:
    file = disk.path / "scores.sqlite3"
    with ScoreLog(file, model="big", labels=[str(n) for n in range(2000)]) as log:
        log.accept(tagging(1))
        disk.fill()
        for second in range(2, 100):
            log.accept(tagging(second))
        lost = log.losses().unlogged_taggings
        assert lost > 50
        disk.make_room()
        log.accept(tagging(100))
        assert log.losses().unlogged_taggings == lost
    with reading_scores(file) as logged:
        assert len(list(logged.messages())) == 100 - lost


@spoilt
def test_an_atomic_write_leaves_the_old_file_or_the_new_one(
    disk: Disk, spoil: Callable[[Disk], None], caplog: pytest.LogCaptureFixture
) -> None:
    settings, switches, speeds = (
        disk.path / name for name in ("earshot.toml", "switches.json", "speed.json")
    )
    write_atomically(settings, "hop = 0.5\n")
    Switches(switches).turn("door", on=False)
    cache = JsonCache(speeds, 60.0)
    cache.put("here", 1.0)
    before = disk.files
    spoil(disk)
    with pytest.raises(SettingsError, match="can't be written .*: check its folder"):
        write_atomically(settings, "# more\n" * 10_000)
    listening = Switches(switches)
    listening.turn("kitchen" * 1000, on=False)
    assert not listening.is_on("kitchen" * 1000)
    cache.put("there" * 10_000, 2.0)
    assert disk.files == before
    assert "will be forgotten at the next start" in caplog.text
    well_again(disk)
    cache.put("there", 2.0)
    listening.turn("kitchen", on=False)
    assert json.loads(switches.read_text())["off"] == ["door", "kitchen"]
    assert (cache.get("here"), cache.get("there")) == (1.0, 2.0)


@spoilt
def test_clips_are_left_out_whole_and_come_again(
    disk: Disk, spoil: Callable[[Disk], None], caplog: pytest.LogCaptureFixture
) -> None:
    now = time.time()
    events = [Event(f"{number:08}", "ended", "Dog", "x", 0.5, now + number) for number in range(3)]
    folder = ClipFolder(disk.path / "clips", days=1.0, max_bytes=1_000_000)
    names = [folder.name(event) for event in events]
    assert folder.write(names[0], bytes(1000), "{}")
    before = disk.files
    spoil(disk)
    assert not folder.write(names[1], bytes(100_000), "{}")
    assert disk.files == before
    well_again(disk)
    assert folder.write(names[2], bytes(1000), "{}")
    assert len(disk.files) == 4
    assert len(caplog.records) == 1


def test_openvino_does_not_leave_half_a_model_on_a_full_disk(disk: Disk) -> None:
    """The OpenVINO cache relies on this error."""
    weights = openvino.opset8.constant(np.ones((1000, 1000), np.float32))
    model = openvino.Model([openvino.opset8.result(weights)], [])
    with pytest.raises(RuntimeError):
        openvino.save_model(model, disk.path / "model.xml", compress_to_fp16=False)


@spoilt
def test_the_program_keeps_listening_and_publishing_and_writes_when_it_can(
    disk: Disk, spoil: Callable[[Disk], None], environment: dict[str, str], tmp_path: Path
) -> None:
    require("mosquitto")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    spoil(disk)
    options = command(
        *("--headless", "--model", "tiny", "--offline", "--source", "room=demo", "--node", "test"),
        *("--clips", "--score-log", str(disk.path / "scores.sqlite3")),
    )
    home = environment | {"XDG_DATA_HOME": str(disk.path), "XDG_CACHE_HOME": str(disk.path / "cache")}
    home["EARSHOT_WATCH"] = "Speech"
    file = disk.path / "earshot" / "history.sqlite3"
    with Mosquitto(folder) as broker, Subscriber(broker.port, "earshot/#") as subscriber:
        mqtt = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}")
        with ChildProcess(
            [*options, *mqtt], env=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as program:
            subscriber.wait_for("earshot/test/room/tags", timeout_seconds=START_SECONDS)
            event = subscriber.wait_for("earshot/test/room/events").json()
            well_again(disk)
            wait_until(file.with_name(f"{file.name}-wal").exists, "the history to be written")
            subscriber.wait_for("earshot/test/room/tags")
            program.terminate()
            _, said = program.communicate(timeout=START_SECONDS)
    assert program.returncode == 130
    assert "Traceback" not in said
    for what in ("history", "score log"):
        assert len(re.findall(f"{what} .*: can't be written", said)) == 1, said
        assert len(re.findall(f"{what} .*: writing again", said)) == 1, said
    assert event["id"] in {occurrence.id for occurrence in read_occurrences(file)}

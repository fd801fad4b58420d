"""The user's room: collected by calibrating, and told apart from what is taught afterwards."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from support.program import clean_environment
from support.teaching import RATE, WINDOW, Model, chime, examples, other_sounds, ring, run

from earshot.commands import calibrate
from models.errors import TeachingError
from models.teaching.lessons import teach
from models.teaching.other_sounds import embed_all
from models.teaching.rooms import RoomCollector, load_room, save_room
from models.teaching.taught_tagger import TaughtTagger
from models.teaching.variations import variations
from streamer.commands.calibrate import Calibration
from streamer.commands.thresholds import ThresholdCalibrator
from streamer.events.own_sounds import own_sounds_folder
from streamer.events.watchlist import WatchLists


def room_of(*values: int) -> RoomCollector:
    """Return a room whose embeddings have these values."""
    collector = RoomCollector(lambda: "b" * 32)
    for value in values:
        collector(np.full((3, 4), value, np.float32))  # a third is kept
    return collector


def test_a_third_of_the_windows_is_collected_and_of_many_an_even_part() -> None:
    collector = RoomCollector(lambda: "b" * 32)
    for number in range(20_000):
        collector(np.full((1, 4), number, np.float32))
    collector(np.full((3, 4), np.nan, np.float32))
    kept = np.array(collector.embeddings)[:, 0]
    assert 1500 <= len(kept) <= 3000
    assert np.ptp(kept) > 19_000
    assert len(set(np.diff(kept).astype(int))) == 1, "evenly"


def test_a_room_survives_its_file_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "taught"
    assert load_room(folder, "b" * 32) is None
    file = save_room(folder, room_of(*range(7)))
    assert file.stat().st_mode & 0o077 == 0
    room = load_room(folder, "b" * 32)
    assert room is not None
    assert room.embeddings[:, 0].tolist() == list(range(7))
    assert set(room.names) == {"your room"}
    assert load_room(folder, "other") is None
    file.write_bytes(file.read_bytes()[:100])
    assert load_room(folder, "b" * 32) is None
    with pytest.raises(TeachingError, match="nothing was heard in the room"):
        save_room(folder, room_of())
    silent = room_of()
    silent(np.full((3, 4), np.nan, np.float32))
    with pytest.raises(TeachingError, match="the workers sent no embeddings"):
        save_room(folder, silent)


def test_a_room_is_of_one_model_when_workers_change_theirs(tmp_path: Path) -> None:
    model = "a" * 32
    collector = RoomCollector(lambda: model)
    collector(np.ones((6, 8), np.float32))
    model = "b" * 32
    collector(np.ones((9, 4), np.float32))
    save_room(tmp_path, collector)
    room = load_room(tmp_path, "b" * 32)
    assert room is not None
    assert room.embeddings.shape == (3, 4)
    assert load_room(tmp_path, "a" * 32) is None


def test_a_sound_of_the_room_is_not_taken_for_a_taught_one_that_is_like_it() -> None:
    model, random = Model(), np.random.default_rng(3)
    hum = [variations(ring(1060.0, seed=seed), WINDOW, 1, random)[0] for seed in range(60)]
    room = embed_all(model, hum)
    test = variations(ring(1060.0, seed=99), WINDOW, 20, random)

    def false(sounds: object) -> float:
        result = teach(model, "Our doorbell", examples(), sounds)  # type: ignore[arg-type]
        return float((TaughtTagger(model, [result.sound])(test)[:, -1] >= 0.5).mean())

    before = false(other_sounds())
    assert before > 0.3
    assert false(other_sounds() + room) < 0.5 * before


@pytest.mark.slow
def test_calibrating_collects_the_room_for_teaching(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path) | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "EARSHOT_MODEL": "tiny",
    }
    hum = 0.05 * np.sin(2 * np.pi * 120 * np.arange(30 * RATE) / RATE)
    soundfile.write(tmp_path / "room.wav", hum.astype(np.float32), RATE)

    def calibrate(*options: str) -> subprocess.CompletedProcess[str]:
        return run(environment, "calibrate", *options)

    refused = calibrate("--collect", "--log", str(tmp_path / "x.log"))
    assert "--collect listens to the room: give --for instead of --log" in refused.stderr
    result = calibrate("--collect", "--for", "30s", "--source", str(tmp_path / "room.wav"))
    assert result.returncode == 0, result.stderr
    assert "windows of the room are in" in result.stderr
    (file,) = (Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    clips = [chime(tmp_path / f"{number}.wav", number) for number in range(3)]
    taught = run(environment, "teach", "Our chime", "--clips", *clips)
    assert taught.returncode == 0, taught.stderr
    compared = int(taught.stdout.split("(")[1].split(" compared")[0].replace(",", ""))
    assert compared > 948


def test_a_room_that_is_interrupted_does_not_replace_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = SimpleNamespace(on_embeddings=None, fingerprint="b" * 32)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("earshot.tagger.load_chosen", lambda _: loaded)
    monkeypatch.setattr("streamer.live.assembly.open_sources", lambda _: [])
    before = save_room(own_sounds_folder(), room_of(*[1] * 9)).read_bytes()
    (file,) = own_sounds_folder().iterdir()
    for interrupted in (True, False):

        def hear(_chosen: Any, _sources: Any, tagger: Any, _progress: Any) -> Calibration:
            tagger.on_embeddings(np.zeros((3, 4), np.float32))
            return Calibration(ThresholdCalibrator(WatchLists([], {}, ())), interrupted)  # noqa: B023

        monkeypatch.setattr("streamer.commands.calibrate.hear", hear)
        _, save = calibrate._listen(SimpleNamespace(duration=None), collect=True)  # type: ignore[arg-type]
        if save is not None:
            assert file.read_bytes() == before, "thresholds are proposed first"
            save()
        assert (file.read_bytes() == before) is interrupted
